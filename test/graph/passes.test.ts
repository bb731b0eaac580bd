import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.js';
import { Builder } from '../../src/graph/builder.js';
import { canonicalize, refuseFlattenedSoftmax } from '../../src/graph/canonical.js';
import {
  type Attribute,
  type Dim,
  float,
  type Graph,
  int,
  ints,
  Node,
  showShape,
  text,
  Value,
} from '../../src/graph/graph.js';
import { inferGraph } from '../../src/graph/infer.js';
import { simplify } from '../../src/graph/simplify.js';
import { floatTensor, intTensor } from '../../src/onnx/tensor.js';

const N = { batch: 1 };

/** A node as a file of operator set `opset` has it, carried over. */
function carriedOver(
  opset: number,
  op: string,
  attributes: Record<string, Attribute>,
  more: readonly (Value | undefined)[] = [],
  domain = '',
): { node: Node; graph: Graph } {
  const g = new Builder(opset);
  const x = g.input('x', 'float32', [N, 3, 4, 4]);
  const [y, mask] = [new Value('y'), new Value('mask')];
  const node = new Node({
    ...{ op, domain, name: 'node', inputs: [x, ...more], outputs: [y, mask] },
    attributes: new Map(Object.entries(attributes)),
  });
  g.graph.nodes.push(node);
  g.graph.outputs.push(y);
  canonicalize(g.graph);
  const [result] = g.graph.nodes;
  if (!result) throw new Error('no node');
  return { node: result, graph: g.graph };
}

const constantsOf = ({ inputs }: Node) =>
  inputs.slice(1).map((input) => input && (input.constant ? [...input.constant.data].map(Number) : input.name));
const attributesOf = ({ attributes }: Node) =>
  Object.fromEntries([...attributes].map(([name, { value }]) => [name, value]));
const floats = (...numbers: number[]) => {
  const value = new Value('numbers', 'float32', [numbers.length]);
  value.constant = floatTensor([numbers.length], numbers);
  return value;
};

// The operators' histories: onnx/docs/Changelog.md.
describe('a node of an old operator set', () => {
  it.each<[string, number, Record<string, Attribute>, unknown[], Record<string, unknown>]>([
    ['ReduceMean', 17, { axes: ints([2, 3]), keepdims: int(0) }, [[2, 3]], { keepdims: 0 }],
    ['ReduceMean', 18, { keepdims: int(0) }, [], { keepdims: 0 }],
    ['ReduceMean', 17, { keepdims: int(0) }, [], { keepdims: 0 }],
    ['ReduceSum', 12, { axes: ints([1]) }, [[1]], {}],
    ['Clip', 10, { max: float(6), min: float(0) }, [[0], [6]], {}],
    ['Clip', 10, { max: float(6) }, [undefined, [6]], {}],
    ['Clip', 10, { min: float(0) }, [[0]], {}],
    ['Slice', 9, { ends: ints([3]), starts: ints([1]) }, [[1], [3]], {}],
    [
      'Pad',
      10,
      { pads: ints([0, 0, 1, 1, 0, 0, 1, 1]), mode: text('edge') },
      [[0, 0, 1, 1, 0, 0, 1, 1]],
      { mode: 'edge' },
    ],
    ['Split', 12, { axis: int(1), split: ints([1, 2]) }, [[1, 2]], { axis: 1 }],
    // An even Split says in how many parts, which it did by its outputs.
    ['Split', 12, { axis: int(1) }, [], { axis: 1, num_outputs: 2 }],
    ['Split', 17, {}, [], { num_outputs: 2 }],
    ['Split', 18, { num_outputs: int(2) }, [], { num_outputs: 2 }],
    ['TopK', 9, { k: int(5), axis: int(-1) }, [[5]], { axis: -1 }],
    ['Unsqueeze', 12, { axes: ints([0]) }, [[0]], {}],
    // The usual axis was 1 before set 13, and is the last one since.
    ['Softmax', 12, {}, [], { axis: 1 }],
    ['Softmax', 12, { axis: int(3) }, [], { axis: 3 }],
    ['Softmax', 13, {}, [], {}],
    ['Dropout', 11, { ratio: float(0.3) }, [], {}],
  ])('%s of set %d with %j gets the inputs %j', (op, opset, attributes, inputs, left) => {
    const { node, graph } = carriedOver(opset, op, attributes);
    expect(constantsOf(node)).toEqual(inputs);
    expect(attributesOf(node)).toEqual(left);
    expect(graph.opset).toBe(18);
  });

  it('stays in a later set than the eighteenth, and as it is in another domain', () => {
    expect(carriedOver(20, 'Relu', {}).graph.opset).toBe(20);
    const { node } = carriedOver(9, 'Clip', { max: float(6) }, [], 'my.ops');
    expect([constantsOf(node), attributesOf(node)]).toEqual([[], { max: 6 }]);
  });

  it.each<[string, number, string, number[], unknown[], Record<string, unknown>]>([
    ['Upsample', 9, 'nearest', [1, 1, 2, 2], [undefined, [1, 1, 2, 2]], { nearest_mode: 'floor' }],
    ['Resize', 10, 'nearest', [1, 1, 0.5, 2], [undefined, [1, 1, 0.5, 2]], { nearest_mode: 'ceil' }],
    ['Resize', 10, 'linear', [1, 1, 0.5, 2], [undefined, [1, 1, 0.5, 2]], {}],
  ])('%s of set %d, %s, by %j counts from the edge', (op, opset, mode, scales, inputs, left) => {
    const { node } = carriedOver(opset, op, { mode: text(mode) }, [floats(...scales)]);
    expect(node.op).toBe('Resize');
    expect(constantsOf(node)).toEqual(inputs);
    expect(attributesOf(node)).toEqual({ mode, coordinate_transformation_mode: 'asymmetric', ...left });
  });

  it('leaves a Resize of later sets its way to count, without inputs that hold nothing', () => {
    const { node } = carriedOver(11, 'Resize', { mode: text('linear') }, [floats(), floats(1, 1, 2, 2)]);
    expect([constantsOf(node), attributesOf(node)]).toEqual([[undefined, [1, 1, 2, 2]], { mode: 'linear' }]);
  });

  it('is refused where its rounding depends on scales that are computed, or an attribute is none of numbers', () => {
    const scales = new Value('scales', 'float32', [4]);
    expect(() => carriedOver(10, 'Resize', {}, [scales])).toThrow(/"node" \(Resize\) computes its scales/);
    expect(() => carriedOver(10, 'Resize', { mode: text('linear') }, [scales])).not.toThrow();
    expect(() => carriedOver(12, 'Squeeze', { axes: text('all') })).toThrow(UserError);
    expect(() => carriedOver(12, 'Squeeze', { axes: text('all') })).toThrow(
      /an attribute of kind string cannot become an input/,
    );
  });

  it('drops the statistics that BatchNormalization once wrote', () => {
    expect(carriedOver(9, 'BatchNormalization', {}).node.outputs).toHaveLength(1);
  });

  it('may be a Softmax along the last axis alone', () => {
    const flattened = (axis: number | undefined, opset: number) => () => {
      const { graph } = carriedOver(opset, 'Softmax', axis === undefined ? {} : { axis: int(axis) });
      const [output] = graph.outputs;
      if (output) output.shape = [N, 3, 4, 4];
      refuseFlattenedSoftmax(graph, opset);
    };
    for (const axis of [3, -1]) expect(flattened(axis, 12)).not.toThrow();
    for (const axis of [undefined, 0, 2, -2])
      expect(flattened(axis, 12)).toThrow(/"node" \(Softmax\) normalizes several axes/);
    expect(flattened(1, 13)).not.toThrow();
    expect(() => {
      refuseFlattenedSoftmax(carriedOver(12, 'Relu', { axis: int(1) }).graph, 12);
    }).not.toThrow();
  });
});

/** A graph of x [N, 6, 4], simplified, with what its nodes are and what it gives. */
function simplified(build: (g: Builder, x: Value) => Value): { ops: string[]; shape: string; graph: Graph } {
  const g = new Builder(18);
  const y = build(g, g.input('x', 'float32', [N, 6, 4]));
  g.graph.outputs.push(y);
  // As from a file: shapes are found again.
  for (const node of g.graph.nodes) for (const output of node.outputs) if (output) output.shape = undefined;
  simplify(g.graph);
  const [output] = g.graph.outputs;
  return { ops: g.graph.nodes.map(({ op }) => op), shape: showShape(output?.shape), graph: g.graph };
}

describe('arithmetic on shapes', () => {
  const sizes = (g: Builder, x: Value) => g.op('Shape', [x]);
  const one = (g: Builder, x: Value, axis: number) => g.gather(sizes(g, x), g.vector([axis]), 0);
  /** x, reshaped to the batch and what `rest` computes. */
  const reshapedTo =
    (rest: (g: Builder, x: Value) => readonly Value[]) =>
    (g: Builder, x: Value): Value =>
      g.op('Reshape', [x, g.concat([one(g, x, 0), ...rest(g, x)], 0)]);

  it.each<[string, string, (g: Builder, x: Value) => Value]>([
    ['a product', '[N, 24]', reshapedTo((g, x) => [g.mul(one(g, x, 1), one(g, x, 2))])],
    ['a sum', '[N, 24]', reshapedTo((g, x) => [g.add(one(g, x, 1), g.vector([18]))])],
    ['a difference', '[N, 3, 8]', reshapedTo((g, x) => [g.sub(one(g, x, 1), g.vector([3])), g.vector([8])])],
    [
      'a quotient, rounded down',
      '[N, 8, 3]',
      reshapedTo((g, x) => [g.vector([8]), g.sub(g.div(g.vector([20]), one(g, x, 1)), g.vector([0]))]),
    ],
    [
      'a number for several',
      '[N, 12, 2]',
      reshapedTo((g, x) => [g.mul(g.gather(sizes(g, x), g.vector([1]), 0), g.vector([2])), g.vector([2])]),
    ],
    [
      'several by a number',
      '[N, 3, 2, 4]',
      reshapedTo((g, x) => [g.div(g.slice(sizes(g, x), [1], [3], [0]), g.vector([2])), g.vector([4])]),
    ],
    [
      'a number by several',
      '[N, 4, 6]',
      reshapedTo((g, x) => [g.div(g.vector([24]), g.slice(sizes(g, x), [1], [3], [0]))]),
    ],
    ['places from the end', '[N, 4, 6]', reshapedTo((g, x) => [one(g, x, -1), one(g, x, -2)])],
    [
      'a part of a shape',
      '[N, 6, 2, 2]',
      reshapedTo((g, x) => [g.slice(sizes(g, x), [1], [2], [0]), g.vector([2, 2])]),
    ],
    ['a part from the end', '[N, 6, 4]', reshapedTo((g, x) => [g.slice(sizes(g, x), [-2], [2 ** 31 - 1], [0])])],
    [
      'a Shape of some axes',
      '[N, 24]',
      reshapedTo((g, x) => {
        const last = g.op('Shape', [x], { start: int(1) });
        return [g.mul(g.gather(last, g.vector([0]), 0), g.gather(last, g.vector([1]), 0))];
      }),
    ],
    [
      'numbers that lose and get an axis',
      '[N, 6, 4]',
      reshapedTo((g, x) => {
        const number = g.gather(sizes(g, x), g.constant('i', intTensor([], [1])), 0);
        return [g.unsqueeze(number, [0]), g.unsqueeze(g.squeeze(one(g, x, 2), [0]), [0])];
      }),
    ],
    [
      'a Cast, an Identity and a Reshape',
      '[N, 6, 4]',
      reshapedTo((g, x) => [
        g.cast(g.cast(one(g, x, 1), 6), 7),
        g.op('Identity', [g.op('Reshape', [one(g, x, 2), g.vector([1])])]),
      ]),
    ],
    [
      'ConstantOfShape, of which a shape is asked',
      '[N, 24]',
      reshapedTo((g) => [g.gather(sizes(g, g.op('ConstantOfShape', [g.vector([24, 5])])), g.vector([0]), 0)]),
    ],
    [
      'two vectors',
      '[N, 12, 2]',
      reshapedTo((g, x) => [g.div(g.mul(g.slice(sizes(g, x), [1], [3], [0]), g.vector([4, 1])), g.vector([2, 2]))]),
    ],
    ['a Slice in steps', '[N, 4, 6]', reshapedTo((g, x) => [g.slice(sizes(g, x), [2], [0], [0], [-1])])],
    ['what remains', '[N, 24]', reshapedTo((g) => [g.vector([-1])])],
  ])('is followed: %s', (_, expected, build) => {
    const { ops, shape } = simplified(build);
    expect([ops, shape]).toEqual([['Reshape'], expected]);
  });

  it.each<[string, (g: Builder, x: Value) => Value]>([
    ['what is read from data', reshapedTo((g, x) => [g.cast(g.reduceMax(x, undefined, true), 7)])],
    [
      'a batch that is added to',
      (g, x) => g.op('Reshape', [x, g.concat([g.add(one(g, x, 0), g.vector([1])), g.vector([-1])], 0)]),
    ],
  ])('is left as it is where it cannot be followed: %s', (_, build) => {
    const { ops, shape } = simplified(build);
    expect(ops.length).toBeGreaterThan(1);
    expect(shape).toBe('[?]');
  });

  it('becomes a constant for every operator that reads it, but with the batch in it', () => {
    const half = (g: Builder, x: Value) => g.div(one(g, x, 1), g.vector([2]));
    expect(simplified((g, x) => g.op('Slice', [x, g.vector([0]), half(g, x), g.vector([1])]))).toMatchObject({
      ...{ ops: ['Slice'], shape: '[N, 3, 4]' },
    });
    expect(
      simplified((g, x) =>
        g.op('Expand', [g.slice(x, [0], [1], [1]), g.concat([g.vector([1]), one(g, x, 1), g.vector([1])], 0)]),
      ),
    ).toMatchObject({
      ...{ ops: ['Slice', 'Expand'], shape: '[N, 6, 4]' },
    });
    const { ops, shape } = simplified((g, x) => g.op('Expand', [g.vector([1]), sizes(g, x)]));
    expect([ops.at(-1), shape]).toEqual(['Expand', '[N, 6, 4]']);
    expect(ops).toContain('Shape');
  });

  it('of a file for one image gives its batch to the Reshape behind', () => {
    const target = (to: number[]) => {
      const { graph } = simplified((g, x) => g.op('Reshape', [x, g.vector(to)]));
      return [...(graph.nodes[0]?.inputs[1]?.constant?.data ?? [])].map(Number);
    };
    expect(target([1, 24])).toEqual([-1, 24]);
    expect(target([-1, 24])).toEqual([-1, 24]);
    expect(target([0, 24])).toEqual([0, 24]);
  });
});

describe('a Resize to computed sizes', () => {
  const resized = (sizes: (g: Builder, x: Value) => Value, attributes: Record<string, Attribute> = {}) => {
    const { graph, ops, shape } = simplified((g, x) =>
      g.op('Resize', [x, undefined, undefined, sizes(g, x)], attributes),
    );
    return [ops.join(), graph.nodes.at(-1)?.ints('axes') ?? 'all', shape];
  };
  const batch = (g: Builder, x: Value) => g.gather(g.op('Shape', [x]), g.vector([0]), 0);

  it('goes over all axes but the batch', () => {
    expect(resized((g, x) => g.concat([batch(g, x), g.vector([5, 7])], 0))).toEqual(['Resize', [1, 2], '[N, 5, 7]']);
  });

  it('keeps sizes that are constants, and axes that are named', () => {
    expect(resized((g) => g.vector([5, 7]), { axes: ints([1, 2]) })).toEqual(['Resize', [1, 2], '[N, 5, 7]']);
  });

  it('is left as it is where its first size is not the batch', () => {
    const twice = (g: Builder, x: Value) => g.concat([g.mul(batch(g, x), g.vector([2])), g.vector([5, 7])], 0);
    expect(resized(twice)[1]).toBe('all');
  });
});

describe('what passes its input on', () => {
  it('goes, through several and where it is the output', () => {
    const { graph, ops } = simplified((g, x) => {
      const y = g.op('Identity', [g.ops('Dropout', [g.op('Identity', [g.relu(x)])], 2)[0]]);
      return g.op('Identity', [y]);
    });
    expect(ops).toEqual(['Relu']);
    expect(graph.outputs[0]?.producer?.op).toBe('Relu');
  });

  const sharing = (numbers: readonly number[]) => {
    const { graph } = simplified((g, x) => {
      const shared = g.constant('shared', floatTensor([4], numbers));
      return g.add(g.add(x, shared), g.op('Identity', [shared]));
    });
    return graph.nodes.map((node) => node.inputs[1]);
  };

  it('leaves constants tied that are not one number all over', () => {
    const [first, second] = sharing([1, 2, 3, 4]);
    expect(second).toBe(first);
  });

  it('makes of a constant of one number all over another of the same numbers', () => {
    const [first, second] = sharing([1, 1, 1, 1]);
    expect(second).not.toBe(first);
    expect(second).toMatchObject({ constant: first?.constant, dtype: 'float32', shape: [4] });
    expect(second?.producer).toBeUndefined();
  });
});

describe('a constant in half precision', () => {
  it('is one constant in float32, under its own name, for all that read it so', () => {
    const { graph, ops } = simplified((g, x) => {
      const half = g.constant('half', { dtype: 'float16', dims: [4], data: Uint16Array.of(0x3c00, 0xc000, 0x3800, 0) });
      return g.mul(g.add(x, g.cast(half, 1)), g.cast(half, 1));
    });
    expect(ops).toEqual(['Add', 'Mul']);
    const [first, second] = graph.nodes.map((node) => node.inputs[1]);
    expect(second).toBe(first);
    expect(first).toMatchObject({ name: 'half', dtype: 'float32', shape: [4] });
    // Their bits: 0 01111 0…, 1 10000 0…, 0 01110 0….
    expect([...(first?.constant?.data ?? [])]).toEqual([1, -2, 0.5, 0]);
  });
});

describe('as_strided, as torch.onnx writes it', () => {
  const N2: readonly Dim[] = [N, 6, 4];
  /** A Gather of all elements in a row, at places that are computed for `sizes` with `strides` from the batch on. */
  const strided = (sizes: readonly number[], strides: readonly number[], start = 0) => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', N2);
    const batch = g.gather(g.op('Shape', [x]), g.constant('first', intTensor([], [0])), 0);
    const number = (value: number) => g.constant('number', intTensor([], [value]));
    let places: Value | undefined;
    [batch, ...sizes.map(number)].forEach((size, axis) => {
      const steps = g.op('Range', [number(0), size, number(1)]);
      steps.dtype = 'int64';
      const along = g.op('Mul', [steps, number(strides[axis] ?? 1)]);
      const axes = Array.from({ length: sizes.length + 1 }, (_, each) => each).filter((each) => each !== axis);
      const spread = g.op('Unsqueeze', [along, g.vector(axes)]);
      places = places ? g.op('Add', [places, spread]) : spread;
    });
    if (!places) throw new Error('no places');
    if (start !== 0) places = g.op('Add', [places, number(start)]);
    const row = g.op('Reshape', [x, g.vector([-1])]);
    g.graph.outputs.push(g.op('Gather', [row, places], { axis: int(0) }));
    for (const node of g.graph.nodes) for (const output of node.outputs) if (output) output.shape = undefined;
    simplify(g.graph);
    return [g.graph.nodes.map(({ op }) => op).join(), showShape(g.graph.outputs[0]?.shape)];
  };

  it('is a Reshape where every element comes in its turn', () => {
    expect(strided([6, 4], [24, 4, 1])).toEqual(['Reshape', '[N, 6, 4]']);
    expect(strided([4, 6], [24, 6, 1])).toEqual(['Reshape', '[N, 4, 6]']);
    expect(strided([24], [24, 1])).toEqual(['Reshape', '[N, 24]']);
    expect(strided([2, 3, 4], [24, 12, 4, 1])).toEqual(['Reshape', '[N, 2, 3, 4]']);
  });

  it.each<[string, readonly number[], readonly number[], number]>([
    ['another order', [4, 6], [24, 1, 4], 0],
    ['fewer elements', [5, 4], [24, 4, 1], 0],
    ['elements twice', [6, 4], [24, 0, 1], 0],
    ['another beginning', [6, 4], [24, 4, 1], 1],
    ['another image', [6, 4], [0, 4, 1], 0],
  ])('is left as it is with %s', (_, sizes, strides, start) => {
    expect(strided(sizes, strides, start)[0]).toContain('Gather');
  });
});

describe('a model file', () => {
  const infer = (op: string, shapes: readonly (readonly Dim[])[], attributes: Record<string, Attribute> = {}) => {
    const inputs = shapes.map((shape, index) => new Value(`input${index}`, 'float32', shape));
    const output = new Value('y');
    const node = new Node({
      op,
      name: 'odd',
      inputs,
      outputs: [output],
      attributes: new Map(Object.entries(attributes)),
    });
    inferGraph({ opset: 18, inputs, outputs: [output], nodes: [node] });
    return showShape(output.shape);
  };
  const weights = [4, 3, 3, 3];

  it.each<[string, string, readonly (readonly Dim[])[], Record<string, Attribute>]>([
    ['pads of 0', 'Conv', [[N, 3, 8, 8], weights], { pads: ints([0, 0, 0, 0]) }],
    ['a kernel_shape', 'Conv', [[N, 3, 8, 8], weights], { kernel_shape: ints([3, 3]) }],
    ['a bias', 'Conv', [[N, 3, 8, 8], weights, [4]], {}],
    ['statistics', 'BatchNormalization', [[N, 3, 8], [3], [3], [3], [3]], {}],
    ['an axis from the end', 'Softmax', [[N, 3]], { axis: int(-2) }],
    ['16 dimensions', 'Relu', [[N, ...new Array<number>(15).fill(1)]], {}],
    ['2³¹ elements', 'Relu', [[2 ** 31]], {}],
    ['no elements', 'Relu', [[0, 3]], {}],
    ['a row for C', 'Gemm', [[N, 3], [3, 4], [4]], {}],
    [
      'a column for C',
      'Gemm',
      [
        [2, 3],
        [3, 4],
        [2, 1],
      ],
      {},
    ],
    [
      'a slope for each channel',
      'PRelu',
      [
        [N, 3, 8],
        [3, 1],
      ],
      {},
    ],
    ['groups', 'Conv', [[N, 6, 8, 8], weights], { group: int(2) }],
    ['no bias', 'ConvTranspose', [[N, 4, 8, 8], weights], {}],
    ['a bias for each channel', 'ConvTranspose', [[N, 4, 8, 8], weights, [3]], {}],
    ['no shift', 'LayerNormalization', [[N, 3], [3]], {}],
  ])('may have %s for %s', (_, op, shapes, attributes) => {
    expect(infer(op, shapes, attributes)).not.toBe('[?]');
  });

  it.each<[string, string, readonly (readonly Dim[])[], Record<string, Attribute>, RegExp]>([
    ['kernels of no place', 'MaxPool', [[N, 3, 8]], { kernel_shape: ints([0]) }, /a kernel \[0\], strides \[1\]/],
    ['dilations of none', 'MaxPool', [[N, 3, 8]], { kernel_shape: ints([1]), dilations: ints([0]) }, /dilations \[0\]/],
    ['negative pads', 'MaxPool', [[N, 3, 8]], { kernel_shape: ints([1]), pads: ints([-1, 0]) }, /pads \[-1, 0\]/],
    ['pads for one end', 'MaxPool', [[N, 3, 8]], { kernel_shape: ints([1]), pads: ints([0]) }, /pads \[0\]/],
    [
      'strides for another rank',
      'MaxPool',
      [[N, 3, 8]],
      { kernel_shape: ints([1]), strides: ints([1, 1]) },
      /strides \[1, 1\]/,
    ],
    ['no groups', 'Conv', [[N, 3, 8, 8], weights], { group: int(0) }, /group/],
    ['a window over no axis', 'MaxPool', [[N, 3]], { kernel_shape: ints([]) }, /which do not fit \[N, 3\]/],
    ['a kernel_shape of another rank', 'Conv', [[N, 3, 8, 8], weights], { kernel_shape: ints([3]) }, /\(Conv\)/],
    [
      'a kernel_shape of another size',
      'Conv',
      [[N, 3, 8, 8], weights],
      { kernel_shape: ints([3, 2]) },
      /kernel_shape of \[3, 2\]/,
    ],
    [
      'a bias of two dimensions',
      'Conv',
      [[N, 3, 8, 8], weights, [4, 1]],
      {},
      /one number for each of its channels, but "input2" has shape \[4, 1\]/,
    ],
    ['a scale of another length', 'InstanceNormalization', [[N, 3, 8], [2], [3]], {}, /"input1" has shape \[2\]/],
    ['a shift of another length', 'InstanceNormalization', [[N, 3, 8], [3], [2]], {}, /"input2" has shape \[2\]/],
    ['a shift of two dimensions', 'BatchNormalization', [[N, 3, 8], [3], [3, 1], [3], [3]], {}, /"input2" has shape/],
    ['a mean of another length', 'BatchNormalization', [[N, 3, 8], [3], [3], [2], [3]], {}, /"input3" has shape \[2\]/],
    [
      'a variance of another length',
      'BatchNormalization',
      [[N, 3, 8], [3], [3], [3], [2]],
      {},
      /"input4" has shape \[2\]/,
    ],
    ['an axis beyond the end', 'LogSoftmax', [[N, 3]], { axis: int(-3) }, /works along axis -3 of \[N, 3\]/],
    ['17 dimensions', 'Relu', [[N, ...new Array<number>(16).fill(1)]], {}, /would give 17 dimensions/],
    ['more than 2³¹ elements', 'Relu', [[2 ** 31 + 1]], {}, /would give a value of shape \[2147483649\]/],
    ['a batch of no images', 'Relu', [[{ batch: 0 }, 3]], {}, /would give a value of shape/],
    [
      'a matrix of three dimensions',
      'Gemm',
      [
        [N, 3, 1],
        [3, 4],
      ],
      {},
      /needs 2 dimensions, but "input0" has shape \[N, 3, 1\]/,
    ],
    ['a second matrix of one', 'Gemm', [[N, 3], [3]], {}, /needs 2 dimensions, but "input1" has shape \[3\]/],
    ['a C of another width', 'Gemm', [[N, 3], [3, 4], [3]], {}, /cannot stretch "input2" of shape \[3\] to \[N, 4\]/],
    [
      'a C of another width, transposed',
      'Gemm',
      [[3, 2], [4, 3], [3]],
      { transA: int(1), transB: int(1) },
      /to \[2, 4\]/,
    ],
    [
      'slopes of another length',
      'PRelu',
      [
        [N, 3, 8],
        [2, 1],
      ],
      {},
      /cannot stretch/,
    ],
    ['slopes that stretch x', 'PRelu', [[3], [2, 3]], {}, /cannot stretch/],
    ['a bias for each input', 'ConvTranspose', [[N, 4, 8, 8], weights, [4]], {}, /"input2" has shape \[4\]/],
    ['one input of two', 'Add', [[N, 3]], {}, /lacks its input 1/],
    [
      'two inputs of three',
      'Where',
      [
        [N, 3],
        [N, 3],
      ],
      {},
      /lacks its input 2/,
    ],
  ])('is refused for %s: %s', (_, op, shapes, attributes, message) => {
    expect(() => infer(op, shapes, attributes)).toThrow(UserError);
    expect(() => infer(op, shapes, attributes)).toThrow(message);
    expect(() => infer(op, shapes, attributes)).toThrow(/^node "odd" \(\w+\).*; the model file is damaged, or/);
  });

  // One type T for all of them in onnx/docs/Operators.md.
  it.each(['Add', 'Div', 'Concat', 'Max', 'Mean', 'Min', 'Sum', 'MatMul', 'Gemm', 'PRelu', 'Conv', 'ConvTranspose'])(
    'is refused for inputs of two types: %s',
    (op) => {
      const shape = op.startsWith('Conv') ? [2, 2, 1] : [2, 2];
      const inputs = [new Value('x', 'float32', shape), new Value('w', 'float64', shape)];
      const node = new Node({ op, name: 'odd', inputs, outputs: [new Value('y')] });
      expect(() => {
        inferGraph({ opset: 18, inputs, outputs: [], nodes: [node] });
      }).toThrow(/takes inputs of one type, but gets float32 and float64/);
    },
  );

  it('may convolve with what an operator gives that nobody knows', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [N, 3, 8, 8]);
    const hidden = g.op('NobodyKnows', [x]);
    const y = new Value('y');
    const attributes = new Map([['kernel_shape', ints([3, 3])]]);
    const conv = new Node({ op: 'Conv', name: 'conv', inputs: [x, hidden], outputs: [y], attributes });
    inferGraph({ opset: 18, inputs: [x], outputs: [y], nodes: [...g.graph.nodes, conv] });
    expect(y.shape).toBeUndefined();
  });

  it('is taken to multiply rows of the batch where an operator that nobody knows hides them', () => {
    const g = new Builder(18);
    const hidden = g.op('NobodyKnows', [g.input('x', 'float32', [N, 3])]);
    const weight = g.constant('w', floatTensor([4, 5], new Float32Array(20)));
    for (const [transB, transA, expected] of [
      [0, 0, '[N, 5]'],
      [1, 0, '[N, 4]'],
      [0, 1, '[?]'],
    ] as const) {
      const rows = new Value('rows');
      const reader = new Node({ op: 'NobodyKnows', name: 'a', inputs: [hidden], outputs: [rows] });
      const y = new Value('y');
      const attributes = new Map([
        ['transA', int(transA)],
        ['transB', int(transB)],
      ]);
      const gemm = new Node({ op: 'Gemm', name: 'fc', inputs: [rows, weight], outputs: [y], attributes });
      inferGraph({ opset: 18, inputs: [hidden], outputs: [y], nodes: [reader, gemm] });
      expect(showShape(y.shape)).toBe(expected);
      expect(rows.isAssumed).toBe(expected !== '[?]');
      expect(rows.dtype).toBe(expected === '[?]' ? undefined : 'float32');
    }
  });
});
