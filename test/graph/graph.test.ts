import { create } from '@bufbuild/protobuf';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import { canonicalize, refuseFlattenedSoftmax } from '../../src/graph/canonical.js';
import { bytesOf, cutGraph } from '../../src/graph/cut.js';
import { concreteShape, float, int, ints, type Shape, text, type Value } from '../../src/graph/graph.js';
import { graphOfModel, modelOfGraph } from '../../src/graph/proto.js';
import { inferNode } from '../../src/graph/shapes.js';
import { simplify } from '../../src/graph/simplify.js';
import { encodeModel } from '../../src/onnx/model.js';
import {
  AttributeProtoSchema,
  type AttributeProto,
  ModelProtoSchema,
  type ModelProto,
} from '../../src/onnx/onnx_pb.js';
import { floatTensor, intTensor, protoOfTensor, type Tensor } from '../../src/onnx/tensor.js';

const N = { batch: 1 };

describe('shapes agree with ONNX Runtime', () => {
  const cases: [string, number[], (g: Builder, x: Value) => Value][] = [
    [
      'Conv, strides and pads',
      [2, 3, 9, 8],
      (g, x) => g.conv(x, weight(g, [4, 3, 3, 2]), { strides: [2, 3], pads: [1, 0, 2, 1] }),
    ],
    [
      'Conv, dilated and grouped',
      [1, 4, 9, 9],
      (g, x) => g.conv(x, weight(g, [8, 2, 3, 3]), { dilations: [2, 1], group: 2 }),
    ],
    [
      'Conv, SAME_UPPER',
      [1, 3, 9, 8],
      (g, x) => g.op('Conv', [x, weight(g, [2, 3, 3, 3])], { auto_pad: text('SAME_UPPER'), strides: ints([2, 2]) }),
    ],
    [
      'Conv, SAME_LOWER',
      [1, 3, 8, 7],
      (g, x) => g.op('Conv', [x, weight(g, [2, 3, 2, 2])], { auto_pad: text('SAME_LOWER'), strides: ints([2, 2]) }),
    ],
    [
      'Conv, VALID',
      [1, 3, 8, 7],
      (g, x) => g.op('Conv', [x, weight(g, [2, 3, 2, 2])], { auto_pad: text('VALID'), strides: ints([2, 2]) }),
    ],
    [
      'ConvTranspose',
      [1, 3, 5, 4],
      (g, x) =>
        g.convTranspose(x, weight(g, [3, 2, 3, 3]), { strides: [2, 2], pads: [1, 1, 1, 0], outputPadding: [1, 0] }),
    ],
    [
      'MaxPool',
      [1, 3, 7, 8],
      (g, x) => g.op('MaxPool', [x], { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }),
    ],
    [
      'MaxPool, ceil_mode',
      [1, 3, 7, 8],
      (g, x) => g.op('MaxPool', [x], { kernel_shape: ints([2, 2]), strides: ints([2, 2]), ceil_mode: int(1) }),
    ],
    [
      'AveragePool, ceil_mode and pads',
      [1, 3, 7, 8],
      (g, x) =>
        g.op('AveragePool', [x], {
          kernel_shape: ints([3, 3]),
          strides: ints([3, 3]),
          pads: ints([1, 1, 1, 1]),
          ceil_mode: int(1),
        }),
    ],
    ['GlobalAveragePool', [2, 3, 7, 8], (g, x) => g.op('GlobalAveragePool', [x])],
    ['GlobalMaxPool', [2, 3, 7, 8], (g, x) => g.op('GlobalMaxPool', [x])],
    ['Gemm', [5, 3], (g, x) => g.gemm(x, weight(g, [4, 3]), { transB: true })],
    ['Gemm, both transposed', [3, 5], (g, x) => g.gemm(x, weight(g, [4, 3]), { transA: true, transB: true })],
    ['MatMul, batched', [2, 5, 3], (g, x) => g.matmul(x, weight(g, [3, 4]))],
    ['MatMul, a vector', [2, 5, 3], (g, x) => g.matmul(x, weight(g, [3]))],
    ['Add, broadcasting', [2, 1, 3], (g, x) => g.add(x, weight(g, [4, 1]))],
    ['Where', [2, 1, 3], (g, x) => g.where(g.greater(x, g.scalar(0)), weight(g, [4, 1]), x)],
    ['Flatten', [2, 3, 4], (g, x) => g.op('Flatten', [x], { axis: int(2) })],
    ['Flatten, a negative axis', [2, 3, 4], (g, x) => g.op('Flatten', [x], { axis: int(-1) })],
    ['Reshape, 0 and −1', [2, 3, 4], (g, x) => g.op('Reshape', [x, g.vector([0, -1, 2])])],
    ['Transpose', [2, 3, 4], (g, x) => g.transpose(x, [2, 0, 1])],
    ['Transpose, reversed', [2, 3, 4], (g, x) => g.op('Transpose', [x])],
    ['Squeeze, negative', [2, 1, 3, 1], (g, x) => g.squeeze(x, [-1])],
    ['Squeeze, all', [2, 1, 3, 1], (g, x) => g.op('Squeeze', [x])],
    ['Unsqueeze', [2, 3], (g, x) => g.unsqueeze(x, [-1, 0])],
    ['Concat', [2, 3], (g, x) => g.concat([x, x, x], -1)],
    ['Slice, backwards', [2, 7], (g, x) => g.slice(x, [-1], [-6], [1], [-2])],
    ['Slice, past the end', [2, 7], (g, x) => g.slice(x, [3], [100], [1])],
    ['Pad, negative', [2, 7], (g, x) => g.pad(x, [1, -2, 0, 1])],
    ['Expand', [2, 1, 3], (g, x) => g.expand(x, [4, 1, 5, 1])],
    ['Gather', [4, 3], (g, x) => g.gather(x, g.vector([1, 0]), 1)],
    ['ReduceSum, kept', [2, 3, 4], (g, x) => g.reduceSum(x, [1, -1])],
    ['ReduceMean, dropped', [2, 3, 4], (g, x) => g.reduceMean(x, [0], false)],
    ['ReduceMax, all', [2, 3, 4], (g, x) => g.reduceMax(x, undefined, false)],
  ];

  function weight(g: Builder, dims: number[]): Value {
    const count = dims.reduce((a, b) => a * b, 1);
    return g.constant('w', floatTensor(dims, new Float32Array(count).fill(0.5)));
  }

  it.each(cases)('%s', async (_, dims, build) => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', dims);
    const y = build(g, x);
    g.output('y', y);
    const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'test')), {
      logSeverityLevel: 3,
    });
    const input = new ort.Tensor('float32', new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(1), dims);
    expect(concreteShape(y)).toEqual((await session.run({ x: input }))['y']?.dims);
  });
});

describe('shapes with a symbolic batch', () => {
  const shapeOf = (from: Shape, build: (g: Builder, x: Value) => Value) => {
    const g = new Builder(18);
    return build(g, g.input('x', 'float32', from)).shape;
  };

  it('carry it through flattening and reshaping', () => {
    expect(shapeOf([N, 3, 4], (g, x) => g.op('Flatten', [x]))).toEqual([N, 12]);
    expect(shapeOf([N, 3, 4], (g, x) => g.op('Reshape', [x, g.vector([-1, 4])]))).toEqual([{ batch: 3 }, 4]);
    expect(shapeOf([{ batch: 3 }, 4], (g, x) => g.op('Reshape', [x, g.vector([-1, 3, 4])]))).toEqual([N, 3, 4]);
    expect(shapeOf([N, 3, 4], (g, x) => g.op('Reshape', [x, g.vector([0, -1])]))).toEqual([N, 12]);
  });

  it('free the batch of a file that was exported for one image', () => {
    expect(shapeOf([N, 3, 4], (g, x) => g.op('Reshape', [x, g.vector([1, 12])]))).toEqual([N, 12]);
  });

  it('name the node whose inputs do not fit', () => {
    const g = new Builder(18);
    const [a, b] = [g.input('a', 'float32', [N, 3]), g.input('b', 'float32', [4, 5])];
    expect(() => g.gemm(a, b)).toThrow(/\(Gemm\) cannot multiply \[N, 3\] by \[4, 5\]/);
    expect(() => g.add(a, b)).toThrow(/\(Add\) cannot broadcast/);
    expect(() => g.conv(g.input('c', 'float32', [N, 3, 8, 8]), g.input('w', 'float32', [4, 2, 3, 3]))).toThrow(
      /\(Conv\) cannot convolve/,
    );
  });
});

type NodeSpec = { opType: string; input: string[]; output: string[]; attribute?: AttributeProto[] };
function model(
  opset: number,
  nodes: NodeSpec[],
  initializers: Record<string, Tensor> = {},
  dims = [0, 2, 4, 4],
): ModelProto {
  const dim = dims.map((d) =>
    d === 0
      ? { value: { case: 'dimParam' as const, value: 'N' } }
      : { value: { case: 'dimValue' as const, value: BigInt(d) } },
  );
  return create(ModelProtoSchema, {
    irVersion: 7n,
    opsetImport: [{ domain: '', version: BigInt(opset) }],
    graph: {
      name: 'g',
      node: nodes,
      initializer: Object.entries(initializers).map(([name, tensor]) => protoOfTensor(name, tensor)),
      input: [{ name: 'x', type: { tensorType: { elemType: 1, shape: { dim } } } }],
      output: [{ name: 'y', type: { tensorType: { elemType: 1 } } }],
    },
  });
}
const attribute = {
  ints: (name: string, values: number[]) => create(AttributeProtoSchema, { name, type: 7, ints: values.map(BigInt) }),
  text: (name: string, value: string) =>
    create(AttributeProtoSchema, { name, type: 3, s: new TextEncoder().encode(value) }),
  int: (name: string, value: number) => create(AttributeProtoSchema, { name, type: 2, i: BigInt(value) }),
  float: (name: string, value: number) => create(AttributeProtoSchema, { name, type: 1, f: value }),
};

describe('canonicalize', () => {
  const larger = { scales: floatTensor([4], [1, 1, 2, 1.5]) };
  const smaller = { scales: floatTensor([4], [1, 1, 0.6, 0.5]) };
  const scaled = (opType: string, mode: string): NodeSpec[] => [
    { opType, input: ['x', 'scales'], output: ['y'], attribute: [attribute.text('mode', mode)] },
  ];
  const cases: [string, number, NodeSpec[], Record<string, Tensor>?][] = [
    ['Upsample of set 9, nearest', 9, scaled('Upsample', 'nearest'), larger],
    ['Upsample of set 9, linear', 9, scaled('Upsample', 'linear'), larger],
    ['Resize of set 10, nearest', 10, scaled('Resize', 'nearest'), larger],
    ['Resize of set 10, nearest and smaller', 10, scaled('Resize', 'nearest'), smaller],
    ['Resize of set 10, linear and smaller', 10, scaled('Resize', 'linear'), smaller],
    [
      'Resize of set 11 to sizes',
      11,
      [
        {
          opType: 'Resize',
          input: ['x', 'none', 'none', 'sizes'],
          output: ['y'],
          attribute: [attribute.text('mode', 'linear')],
        },
      ],
      { none: floatTensor([0], []), sizes: intTensor([4], [1, 2, 7, 3]) },
    ],
    [
      'ReduceMean of set 11',
      11,
      [
        {
          opType: 'ReduceMean',
          input: ['x'],
          output: ['y'],
          attribute: [attribute.ints('axes', [2, 3]), attribute.int('keepdims', 0)],
        },
      ],
    ],
    [
      'ReduceSum of set 9',
      9,
      [{ opType: 'ReduceSum', input: ['x'], output: ['y'], attribute: [attribute.ints('axes', [1])] }],
    ],
    ['Clip of set 9', 9, [{ opType: 'Clip', input: ['x'], output: ['y'], attribute: [attribute.float('max', 0.5)] }]],
    [
      'Pad of set 9',
      9,
      [{ opType: 'Pad', input: ['x'], output: ['y'], attribute: [attribute.ints('pads', [0, 0, 1, 0, 0, 0, 0, 2])] }],
    ],
    [
      'Slice of set 9',
      9,
      [
        {
          opType: 'Slice',
          input: ['x'],
          output: ['y'],
          attribute: [attribute.ints('starts', [1]), attribute.ints('ends', [3]), attribute.ints('axes', [2])],
        },
      ],
    ],
    [
      'Unsqueeze of set 12',
      12,
      [{ opType: 'Unsqueeze', input: ['x'], output: ['y'], attribute: [attribute.ints('axes', [1])] }],
    ],
  ];

  it.each(cases)('%s means the same afterwards', async (_, opset, nodes, initializers) => {
    const proto = model(opset, nodes, initializers);
    const graph = graphOfModel(proto);
    canonicalize(graph);
    expect(graph.opset).toBe(18);
    const x = new ort.Tensor(
      'float32',
      Float32Array.from({ length: 32 }, (_unused, index) => Math.sin(index)),
      [1, 2, 4, 4],
    );
    const run = async (each: ModelProto) =>
      (await (await ort.InferenceSession.create(encodeModel(each))).run({ x }))['y'];
    const [before, after] = [await run(proto), await run(modelOfGraph(graph, 'g'))];
    expect(after?.dims).toEqual(before?.dims);
    expect(after?.data).toEqual(before?.data);
  });
});

describe('refuseFlattenedSoftmax', () => {
  const graphWith = (opset: number, axis?: number) => {
    const attributes = axis === undefined ? [] : [attribute.int('axis', axis)];
    const graph = graphOfModel(
      model(opset, [{ opType: 'Softmax', input: ['x'], output: ['y'], attribute: attributes }]),
    );
    canonicalize(graph);
    simplify(graph);
    return graph;
  };

  it('refuses what meant several axes, and lets the last one pass', () => {
    expect(() => refuseFlattenedSoftmax(graphWith(11), 11)).toThrow(/normalizes several axes at once/);
    expect(() => refuseFlattenedSoftmax(graphWith(11, 2), 11)).toThrow(/normalizes several axes at once/);
    expect(() => refuseFlattenedSoftmax(graphWith(11, 3), 11)).not.toThrow();
    expect(() => refuseFlattenedSoftmax(graphWith(13, 2), 13)).not.toThrow();
  });
});

describe('simplify', () => {
  it('takes out Identity and Dropout, and gives shared constants back to each parameter', () => {
    const proto = model(
      13,
      [
        { opType: 'Identity', input: ['w'], output: ['layer2.w'] },
        { opType: 'Mul', input: ['x', 'w'], output: ['a'] },
        { opType: 'Dropout', input: ['a'], output: ['b'] },
        { opType: 'Mul', input: ['b', 'layer2.w'], output: ['c'] },
        { opType: 'Identity', input: ['c'], output: ['y'] },
        { opType: 'Relu', input: ['x'], output: ['unused'] },
      ],
      { w: floatTensor([1], [2]) },
    );
    const graph = graphOfModel(proto);
    simplify(graph);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Mul', 'Mul']);
    const [first, second] = graph.nodes.map((node) => node.input(1));
    expect([first?.name, second?.name]).toEqual(['w', 'layer2.w']);
    expect(first).not.toBe(second);
    expect(graph.outputs[0]?.shape).toEqual([N, 2, 4, 4]);
  });

  it('follows the arithmetic that exporters write for a flattening', () => {
    const proto = model(
      13,
      [
        { opType: 'Shape', input: ['x'], output: ['s'] },
        { opType: 'Gather', input: ['s', 'zero'], output: ['n'] },
        { opType: 'Concat', input: ['n', 'rest'], output: ['target'], attribute: [attribute.int('axis', 0)] },
        { opType: 'Reshape', input: ['x', 'target'], output: ['y'] },
      ],
      {
        zero: { dtype: 'int64', dims: [1], data: BigInt64Array.of(0n) },
        rest: { dtype: 'int64', dims: [1], data: BigInt64Array.of(32n) },
      },
    );
    const graph = graphOfModel(proto);
    simplify(graph);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Reshape']);
    expect(graph.outputs[0]?.shape).toEqual([N, 32]);
  });

  it('follows the arithmetic that exporters write for half of the channels', () => {
    const proto = model(
      13,
      [
        { opType: 'Shape', input: ['x'], output: ['s'] },
        { opType: 'Gather', input: ['s', 'one'], output: ['c'] },
        { opType: 'Div', input: ['c', 'two'], output: ['half'] },
        { opType: 'Slice', input: ['x', 'half', 'end', 'one'], output: ['y'] },
      ],
      {
        one: intTensor([1], [1]),
        two: intTensor([1], [2]),
        end: { dtype: 'int64', dims: [1], data: BigInt64Array.of(2n ** 63n - 1n) },
      },
    );
    const graph = graphOfModel(proto);
    simplify(graph);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Slice']);
    expect(graph.outputs[0]?.shape).toEqual([N, 1, 4, 4]);
  });

  it('follows a Resize to sizes of which the first is the batch', () => {
    const proto = model(
      18,
      [
        { opType: 'Shape', input: ['x'], output: ['s'], attribute: [attribute.int('end', 2)] },
        { opType: 'Concat', input: ['s', 'rest'], output: ['sizes'], attribute: [attribute.int('axis', 0)] },
        { opType: 'Resize', input: ['x', '', '', 'sizes'], output: ['y'] },
      ],
      { rest: intTensor([2], [7, 3]) },
    );
    const graph = graphOfModel(proto);
    simplify(graph);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Resize']);
    expect(graph.outputs[0]?.shape).toEqual([N, 2, 7, 3]);
    expect(graph.nodes[0]?.ints('axes')).toEqual([1, 2, 3]);
  });
});

describe('graphOfModel', () => {
  it('orders nodes, and refuses a cycle', () => {
    const backwards = model(13, [
      { opType: 'Relu', input: ['a'], output: ['y'] },
      { opType: 'Neg', input: ['x'], output: ['a'] },
    ]);
    expect(graphOfModel(backwards).nodes.map(({ op }) => op)).toEqual(['Neg', 'Relu']);
    const cycle = model(13, [
      { opType: 'Add', input: ['x', 'b'], output: ['a'] },
      { opType: 'Relu', input: ['a'], output: ['b'] },
      { opType: 'Neg', input: ['b'], output: ['y'] },
    ]);
    expect(() => graphOfModel(cycle)).toThrow(/depends on its own output/);
  });

  it('refuses a value that nothing writes, or two nodes write', () => {
    expect(() => graphOfModel(model(13, [{ opType: 'Relu', input: ['nothing'], output: ['y'] }]))).toThrow(
      /which nothing writes/,
    );
    const twice = [
      { opType: 'Relu', input: ['x'], output: ['y'] },
      { opType: 'Neg', input: ['x'], output: ['y'] },
    ];
    expect(() => graphOfModel(model(13, twice))).toThrow(/two nodes of the model write "y"/);
  });
});

describe('cutGraph', () => {
  it('cuts a residual block where the boundary is smallest', () => {
    // x → relu → a (64 channels) → conv (trained) → + a → y: `a` crosses once though two nodes read it.
    const g = new Builder(18);
    const x = g.input('x', 'float32', [N, 64, 4, 4]);
    const a = g.relu(g.conv(x, constant(g, [64, 64, 1, 1])));
    const w = constant(g, [64, 64, 1, 1]);
    g.output('y', g.add(g.conv(a, w), a));
    const cut = cutGraph(g.graph, new Set([w]));
    expect(cut.boundary.map(({ name }) => name)).toEqual([a.name]);
    expect(cut.boundary.map(bytesOf)).toEqual([64 * 4 * 4 * 4]);
    expect(cut.frozen.map(({ op }) => op)).toEqual(['Conv', 'Relu']);
  });

  it('goes back before cheap work that makes a value larger', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [N, 8, 4, 4]);
    const small = g.conv(x, constant(g, [4, 8, 1, 1]));
    const large = g.concat([small, g.relu(small), g.neg(small)], 1);
    const w = constant(g, [4, 12, 1, 1]);
    g.output('y', g.conv(large, w));
    expect(cutGraph(g.graph, new Set([w])).boundary.map(({ name }) => name)).toEqual([small.name]);
  });

  it('does not recompute what costs more than it saves', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [N, 64, 8, 8]);
    const large = g.conv(x, constant(g, [128, 64, 3, 3]), { pads: [1, 1, 1, 1] });
    const w = constant(g, [4, 128, 1, 1]);
    g.output('y', g.conv(large, w));
    expect(cutGraph(g.graph, new Set([w])).boundary.map(({ name }) => name)).toEqual([large.name]);
  });

  function constant(g: Builder, dims: number[]): Value {
    return g.constant('w', floatTensor(dims, new Float32Array(dims.reduce((a, b) => a * b, 1))));
  }
});

describe('inferNode', () => {
  it('leaves an operator that it does not know open', () => {
    const g = new Builder(18);
    const y = g.op('NobodyKnows', [g.input('x', 'float32', [N, 3])], { alpha: float(1) });
    const [node] = g.graph.nodes;
    if (node) inferNode(node);
    expect(y.shape).toBeUndefined();
  });
});
