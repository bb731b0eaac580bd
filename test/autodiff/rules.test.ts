import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/gradient.js';
import { rules } from '../../src/autodiff/registry.js';
import { Builder } from '../../src/graph/builder.js';
import { concreteShape, float, int, ints, type Value } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel } from '../../src/onnx/model.js';
import { elementCount, floatTensor } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';

/** Builds y from inputs of these shapes. */
interface Case {
  readonly op: string;
  readonly what: string;
  readonly shapes: readonly (readonly number[])[];
  readonly build: (g: Builder, inputs: readonly Value[]) => Value;
  /** Values from `from` up to 1; default from −1. */
  readonly from?: number;
}

type Build = (g: Builder, a: Value, b: Value, c: Value) => Value;
function one(op: string, what: string, shapes: readonly (readonly number[])[], build: Build, from?: number): Case {
  return {
    op,
    what,
    shapes,
    build: (g, [a, b = a, c = a]) => (a && b && c ? build(g, a, b, c) : g.scalar(0)),
    ...(from === undefined ? {} : { from }),
  };
}

const conv = (what: string, x: number[], w: number[], attributes: Parameters<Builder['conv']>[2], bias = false): Case =>
  one('Conv', what, bias ? [x, w, [w[0] ?? 0]] : [x, w], (g, a, b, c) =>
    g.conv(a, b, attributes, bias ? c : undefined),
  );

const cases: readonly Case[] = [
  one(
    'Add',
    'broadcasting',
    [
      [2, 3, 4],
      [3, 1],
    ],
    (g, a, b) => g.add(a, b),
  ),
  one('Add', 'a value and itself', [[2, 3]], (g, a) => g.add(a, a)),
  one('Clip', 'both bounds', [[4, 5]], (g, a) => g.op('Clip', [a, g.scalar(-0.4), g.scalar(0.6)])),
  one(
    'Concat',
    'three parts',
    [
      [2, 3],
      [2, 1],
      [2, 4],
    ],
    (g, a, b, c) => g.concat([a, b, c], 1),
  ),
  one(
    'Concat',
    'a negative axis',
    [
      [2, 3],
      [1, 3],
    ],
    (g, a, b) => g.concat([a, b], -2),
  ),
  conv('1×1', [2, 3, 4, 4], [5, 3, 1, 1], {}, true),
  conv('1×1, stride 2', [2, 3, 5, 5], [4, 3, 1, 1], { strides: [2, 2] }),
  conv('3×3, padded', [2, 3, 5, 4], [4, 3, 3, 3], { pads: [1, 1, 1, 1] }, true),
  conv('3×3, stride 2, padded at the end alone', [2, 3, 6, 6], [4, 3, 3, 3], { strides: [2, 2], pads: [0, 0, 1, 1] }),
  conv('3×3, stride 2, a remainder that no window reaches', [1, 2, 6, 7], [3, 2, 3, 3], { strides: [2, 2] }),
  conv('3×2, unequal strides and pads', [1, 2, 7, 6], [3, 2, 3, 2], { strides: [2, 1], pads: [1, 0, 0, 1] }),
  conv('3×3, dilated', [1, 2, 7, 7], [2, 2, 3, 3], { dilations: [2, 2], pads: [2, 2, 2, 2] }),
  conv('3×3, dilated, stride 2', [1, 2, 8, 8], [2, 2, 3, 3], {
    dilations: [2, 2],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  }),
  conv('depthwise 3×3', [2, 4, 5, 5], [4, 1, 3, 3], { group: 4, pads: [1, 1, 1, 1] }, true),
  conv('depthwise 3×3, stride 2', [2, 3, 6, 6], [3, 1, 3, 3], { group: 3, strides: [2, 2], pads: [1, 1, 1, 1] }),
  conv('depthwise 5×5, stride 2, asymmetric pads', [2, 3, 8, 8], [3, 1, 5, 5], {
    group: 3,
    strides: [2, 2],
    pads: [1, 1, 2, 2],
  }),
  conv('depthwise 3×3, stride 3, a remainder', [1, 2, 9, 8], [2, 1, 3, 3], { group: 2, strides: [3, 3] }),
  conv('depthwise 3×3, dilated', [1, 3, 7, 7], [3, 1, 3, 3], { group: 3, dilations: [2, 2], pads: [2, 2, 2, 2] }),
  one('Div', 'broadcasting', [[2, 3], [3]], (g, a, b) => g.div(a, b), 0.5),
  one('Flatten', 'axis 1', [[2, 3, 2]], (g, a) => g.op('Flatten', [a], { axis: int(1) })),
  one('Gemm', 'A·B + C', [[3, 4], [4, 2], [2]], (g, a, b, c) => g.gemm(a, b, { c })),
  one(
    'Gemm',
    'Aᵀ·B',
    [
      [4, 3],
      [4, 2],
    ],
    (g, a, b) => g.gemm(a, b, { transA: true }),
  ),
  one(
    'Gemm',
    'A·Bᵀ, α and β',
    [
      [3, 4],
      [2, 4],
      [3, 1],
    ],
    (g, a, b, c) => g.gemm(a, b, { transB: true, alpha: 0.5, beta: 2, c }),
  ),
  one(
    'Gemm',
    'Aᵀ·Bᵀ',
    [
      [4, 3],
      [2, 4],
    ],
    (g, a, b) => g.gemm(a, b, { transA: true, transB: true }),
  ),
  one('GlobalAveragePool', 'unequal sides', [[2, 3, 4, 5]], (g, a) => g.op('GlobalAveragePool', [a])),
  one('Identity', 'a vector', [[5]], (g, a) => g.op('Identity', [a])),
  one('LogSoftmax', 'the last axis', [[3, 5]], (g, a) => g.logSoftmax(a, -1)),
  one(
    'MatMul',
    'two matrices',
    [
      [3, 4],
      [4, 2],
    ],
    (g, a, b) => g.matmul(a, b),
  ),
  one(
    'MatMul',
    'broadcasting a batch',
    [
      [2, 3, 4],
      [4, 2],
    ],
    (g, a, b) => g.matmul(a, b),
  ),
  one('MaxPool', '2×2, stride 2', [[2, 3, 4, 6]], (g, a) =>
    g.op('MaxPool', [a], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }),
  ),
  one('MaxPool', '3×3, stride 2, overlapping and padded', [[2, 2, 7, 7]], (g, a) =>
    g.op('MaxPool', [a], { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }),
  ),
  one(
    'Mul',
    'broadcasting both',
    [
      [2, 3, 1],
      [1, 4],
    ],
    (g, a, b) => g.mul(a, b),
  ),
  one('Neg', 'a vector', [[5]], (g, a) => g.neg(a)),
  one('QuickGelu', 'α = 1', [[3, 4]], (g, a) =>
    g.op('QuickGelu', [a], { alpha: float(1) }, { domain: 'com.microsoft' }),
  ),
  one('QuickGelu', 'α = 1.702', [[3, 4]], (g, a) =>
    g.op('QuickGelu', [a], { alpha: float(1.702) }, { domain: 'com.microsoft' }),
  ),
  one('ReduceMean', 'spatial axes', [[2, 3, 4, 5]], (g, a) => g.reduceMean(a, [2, 3], false)),
  one('ReduceMean', 'a negative axis, kept', [[2, 3, 4]], (g, a) => g.reduceMean(a, [-1], true)),
  one('ReduceSum', 'all', [[2, 3]], (g, a) => g.reduceSum(a, undefined, false)),
  one('ReduceSum', 'one axis', [[2, 3, 2]], (g, a) => g.reduceSum(a, [1], false)),
  one('Relu', 'a matrix', [[4, 5]], (g, a) => g.relu(a)),
  one('Reshape', 'another rank', [[2, 6]], (g, a) => g.reshape(a, [3, 2, 2])),
  one('Sigmoid', 'a matrix', [[4, 5]], (g, a) => g.sigmoid(a)),
  one('Softmax', 'the last axis', [[3, 5]], (g, a) => g.softmax(a, -1)),
  one('Squeeze', 'two axes', [[2, 1, 3, 1]], (g, a) => g.squeeze(a, [1, 3])),
  one(
    'Sub',
    'broadcasting',
    [
      [3, 1],
      [2, 3, 4],
    ],
    (g, a, b) => g.sub(a, b),
  ),
  one('Tanh', 'a matrix', [[4, 5]], (g, a) => g.tanh(a)),
  one('Transpose', 'three axes', [[2, 3, 4]], (g, a) => g.transpose(a, [1, 2, 0])),
  one('Unsqueeze', 'two axes', [[2, 3]], (g, a) => g.unsqueeze(a, [0, 3])),
];

describe('every rule has a case', () => {
  it.each(rules.map(({ op }) => op))('%s', (op) => {
    expect(cases.some((each) => each.op === op)).toBe(true);
  });
});

describe('gradients agree with central finite differences', () => {
  it.each(cases.map((each) => [each.op, each.what, each] as const))(
    '%s: %s',
    async (_, __, { shapes, build, from = -1 }) => {
      const random = new Random(7);
      const draw = (count: number) => Float32Array.from({ length: count }, () => from + (1 - from) * random.next());
      const data = shapes.map((shape) => draw(elementCount(shape)));

      // loss = Σ y · r for random r, so that every element of y counts for itself.
      const g = new Builder(18);
      const inputs = shapes.map((shape, index) => g.input(`x${index}`, 'float32', shape));
      const y = build(g, inputs);
      const r = g.constant('r', floatTensor(concreteShape(y), draw(elementCount(concreteShape(y)))));
      const loss = g.reduceSum(g.mul(y, r), undefined, false);
      const gradients = differentiate(g, [...g.graph.nodes], loss, inputs);
      g.output('loss', loss);
      inputs.forEach((input, index) => {
        const gradient = gradients.get(input);
        if (gradient) g.output(`d${index}`, gradient);
      });
      const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'test')), {
        logSeverityLevel: 3,
      });
      const run = (values: readonly Float32Array[]) =>
        session.run(
          Object.fromEntries(
            values.map((value, index) => [`x${index}`, new ort.Tensor('float32', value, shapes[index])]),
          ),
        );

      const results = await run(data);
      for (const [index, values] of data.entries()) {
        const gradient = results[`d${index}`]?.data as Float32Array;
        const scale = Math.max(...gradient.map(Math.abs), 0.1);
        // Small enough that no maximum, bound or sign changes on the way; large enough for float32 sums.
        const h = 2e-3;
        for (let element = 0; element < values.length; element += Math.ceil(values.length / 24)) {
          const at = async (shift: number) => {
            const moved = data.map((each) => each.slice());
            const target = moved[index];
            if (target) target[element] = (values[element] ?? 0) + shift;
            return ((await run(moved))['loss']?.data as Float32Array)[0] ?? NaN;
          };
          const difference = ((await at(h)) - (await at(-h))) / (2 * h);
          expect(
            Math.abs(difference - (gradient[element] ?? NaN)) / scale,
            `d${index}[${element}]: ${gradient[element] ?? NaN}, not ${difference}`,
          ).toBeLessThan(2e-2);
        }
      }
      await session.release();
    },
  );
});

describe('differentiate', () => {
  it('builds nothing for an input that is frozen', () => {
    const g = new Builder(18);
    const [x, w] = [g.input('x', 'float32', [2, 3]), g.input('w', 'float32', [3, 4])];
    const loss = g.reduceSum(g.gemm(x, w), undefined, false);
    const forward = g.graph.nodes.length;
    differentiate(g, [...g.graph.nodes], loss, [w]);
    expect(g.graph.nodes.slice(forward).filter(({ op }) => op === 'Gemm')).toHaveLength(1);
  });

  it('names the operator that has no rule', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [2, 3]);
    const loss = g.reduceSum(g.op('Erf', [x], {}, { name: 'act' }), undefined, false);
    expect(() => differentiate(g, [...g.graph.nodes], loss, [x])).toThrow(
      /node "act" \(Erf\) lies between a trainable layer and the loss/,
    );
  });
});
