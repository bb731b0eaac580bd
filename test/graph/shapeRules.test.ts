import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import { type Attribute, int, ints, type Shape, showShape, text, type Value } from '../../src/graph/graph.js';
import { floatTensor, intTensor } from '../../src/onnx/tensor.js';

const N = { batch: 1 };
type Build = (g: Builder, x: Value) => Value;

function result(from: Shape, build: Build): Value {
  const g = new Builder(18);
  return build(g, g.input('x', 'float32', from));
}
const op =
  (name: string, attributes: Record<string, Attribute> = {}): Build =>
  (g, x) =>
    g.op(name, [x], attributes);
const floats = (g: Builder, ...numbers: number[]) => g.constant('numbers', floatTensor([numbers.length], numbers));
const weight = (g: Builder, ...dims: number[]) =>
  g.constant('w', floatTensor(dims, new Float32Array(dims.reduce((a, b) => a * b, 1))));

describe('the shape of what an operator gives', () => {
  it.each<[string, Shape, string, Build]>([
    ['Softmax', [N, 3], '[N, 3]', op('Softmax')],
    ['MatMul with a vector on both sides', [3], '[]', (g, x) => g.matmul(x, weight(g, 3))],
    ['MatMul of a vector by matrices', [3], '[2, 4]', (g, x) => g.matmul(x, weight(g, 2, 3, 4))],
    ['MatMul whose batches are broadcast', [N, 1, 2, 3], '[N, 5, 2, 4]', (g, x) => g.matmul(x, weight(g, 5, 3, 4))],
    ['Gemm of the batch', [N, 3], '[N, 4]', (g, x) => g.gemm(x, weight(g, 3, 4))],
    ['Gemm, transposed', [3, 2], '[2, 4]', (g, x) => g.gemm(x, weight(g, 4, 3), { transA: true, transB: true })],
    ['Concat', [N, 3, 4], '[N, 3, 8]', (g, x) => g.concat([x, x], -1)],
    ['Concat without an axis', [2, 3], '[4, 3]', (g, x) => g.op('Concat', [x, x])],
    [
      'Gather of a matrix of places',
      [N, 5, 3],
      '[N, 2, 2, 3]',
      (g, x) => g.gather(x, g.constant('i', intTensor([2, 2], [0, 1, 2, 3])), 1),
    ],
    ['Gather of one place', [N, 5, 3], '[N, 3]', (g, x) => g.gather(x, g.constant('i', intTensor([], [0])), 1)],
    ['Gather without an axis', [5, 3], '[1, 3]', (g, x) => g.op('Gather', [x, g.vector([2])])],
    ['Gather from the end', [N, 5, 3], '[N, 5, 1]', (g, x) => g.gather(x, g.vector([0]), -1)],
    ['Slice of all of the batch', [N, 5], '[N, 2]', (g, x) => g.slice(x, [0, 1], [2 ** 31 - 1, 3], [0, 1])],
    ['Slice without axes', [6, 5], '[4, 2]', (g, x) => g.op('Slice', [x, g.vector([2, 1]), g.vector([6, 3])])],
    ['Slice in steps', [7], '[3]', (g, x) => g.slice(x, [1], [7], [0], [2])],
    ['Slice in steps that do not come out even', [7], '[4]', (g, x) => g.slice(x, [0], [7], [0], [2])],
    ['Slice backwards to the beginning', [7], '[7]', (g, x) => g.slice(x, [6], [-8], [0], [-1])],
    ['Slice backwards to before the beginning', [7], '[7]', (g, x) => g.slice(x, [6], [-99], [0], [-1])],
    ['Slice backwards from beyond the end', [7], '[4]', (g, x) => g.slice(x, [99], [2], [0], [-1])],
    ['Slice that holds nothing', [7], '[0]', (g, x) => g.slice(x, [5], [2], [0])],
    ['Slice from before the beginning', [7], '[3]', (g, x) => g.slice(x, [-99], [3], [0])],
    ['Pad', [N, 4], '[N, 9]', (g, x) => g.pad(x, [0, 2, 0, 3])],
    [
      'Pad of some axes',
      [N, 4, 5],
      '[N, 4, 8]',
      (g, x) => g.op('Pad', [x, g.vector([1, 2]), undefined, g.vector([-1])]),
    ],
    ['Split', [N, 6], '[N, 3]', (g, x) => g.ops('Split', [x, g.vector([2, 3, 1])], 3, { axis: int(1) })[1] ?? x],
    [
      'Split into parts as large as possible',
      [7],
      '[3]',
      (g, x) => g.ops('Split', [x], 3, { num_outputs: int(3) })[1] ?? x,
    ],
    ['the last part of a Split', [7], '[1]', (g, x) => g.ops('Split', [x], 3, { num_outputs: int(3) })[2] ?? x],
    // Two, two and one.
    ['a part of a Split for which nothing is left', [5], '[0]', (g, x) => g.ops('Split', [x], 4)[3] ?? x],
    ['Tile', [N, 3], '[2N, 12]', (g, x) => g.op('Tile', [x, g.vector([2, 4])])],
    ['Expand', [N, 1], '[N, 7]', (g, x) => g.expand(x, [1, 7])],
    ['DepthToSpace', [N, 8, 2, 3], '[N, 2, 4, 6]', op('DepthToSpace', { blocksize: int(2) })],
    ['SpaceToDepth', [N, 2, 4, 6], '[N, 8, 2, 3]', op('SpaceToDepth', { blocksize: int(2) })],
    ['Flatten', [N, 3, 4], '[N, 12]', op('Flatten')],
    ['Flatten of all', [2, 3, 4], '[1, 24]', op('Flatten', { axis: int(0) })],
    ['Flatten whose axis counts from the end', [N, 3, 4], '[3N, 4]', op('Flatten', { axis: int(-1) })],
    ['Squeeze', [N, 1, 3, 1], '[N, 3]', op('Squeeze')],
    ['Squeeze of one axis', [N, 1, 3, 1], '[N, 1, 3]', (g, x) => g.squeeze(x, [3])],
    ['Unsqueeze', [N, 3], '[N, 1, 3, 1]', (g, x) => g.unsqueeze(x, [3, 1])],
    ['Unsqueeze from the end', [N, 3], '[N, 3, 1]', (g, x) => g.unsqueeze(x, [-1])],
    ['Reshape that keeps places', [N, 3, 4], '[N, 3, 2, 2]', (g, x) => g.op('Reshape', [x, g.vector([0, 0, 2, -1])])],
    ['Reshape to nothing', [0, 3], '[3, 0]', (g, x) => g.op('Reshape', [x, g.vector([3, 0])], { allowzero: int(1) })],
    ['Reshape of one image', [N, 3, 4], '[N, 4, 3]', (g, x) => g.op('Reshape', [x, g.vector([1, 4, 3])])],
    ['Transpose', [N, 3, 4], '[N, 4, 3]', (g, x) => g.transpose(x, [0, 2, 1])],
    ['Transpose without an order', [N, 3, 4], '[4, 3, N]', op('Transpose')],
    ['ReduceSum', [N, 3, 4], '[N, 1, 1]', (g, x) => g.reduceSum(x, [1, -1])],
    ['ReduceSum of all', [N, 3], '[1, 1]', op('ReduceSum')],
    ['ReduceSum of nothing', [N, 3], '[N, 3]', op('ReduceSum', { noop_with_empty_axes: int(1) })],
    [
      'ReduceSum, as old files name the axes',
      [N, 3, 4],
      '[N, 4]',
      op('ReduceSum', { axes: ints([1]), keepdims: int(0) }),
    ],
    ['OneHot', [N], '[N, 5]', (g, x) => g.oneHot(g.cast(x, 7), 5)],
    [
      'OneHot along another axis',
      [N, 3],
      '[N, 5, 3]',
      (g, x) => g.op('OneHot', [x, g.vector([5]), floats(g, 0, 1)], { axis: int(1) }),
    ],
    [
      'OneHot whose depth is no whole number',
      [N],
      '[N, 5]',
      (g, x) => g.op('OneHot', [x, floats(g, 5), floats(g, 0, 1)]),
    ],
    ['ConstantOfShape', [N], '[2, 3]', (g) => g.op('ConstantOfShape', [g.vector([2, 3])])],
    ['Shape', [N, 3, 4], '[3]', op('Shape')],
    ['Shape of some axes', [N, 3, 4, 5], '[2]', op('Shape', { start: int(1), end: int(-1) })],
    ['Where', [N, 1], '[N, 4]', (g, x) => g.where(g.greater(x, g.scalar(0)), weight(g, 4), x)],
    ['MaxPool', [N, 3, 7, 8], '[N, 3, 3, 4]', op('MaxPool', { kernel_shape: ints([3, 2]), strides: ints([2, 2]) })],
    [
      'MaxPool, rounded up',
      [N, 3, 8, 8],
      '[N, 3, 4, 4]',
      op('MaxPool', { kernel_shape: ints([3, 3]), strides: ints([2, 2]), ceil_mode: int(1) }),
    ],
    // The third window would begin behind the image: at 4, where 3 places and one of padding are.
    [
      'MaxPool, rounded up but for a window of padding',
      [N, 1, 3],
      '[N, 1, 2]',
      op('MaxPool', { kernel_shape: ints([1]), strides: ints([2]), pads: ints([0, 1]), ceil_mode: int(1) }),
    ],
    ['MaxPool, dilated', [N, 3, 9], '[N, 3, 5]', op('MaxPool', { kernel_shape: ints([3]), dilations: ints([2]) })],
    [
      'Conv, SAME_UPPER',
      [N, 3, 9],
      '[N, 2, 5]',
      (g, x) => g.op('Conv', [x, weight(g, 2, 3, 4)], { auto_pad: text('SAME_UPPER'), strides: ints([2]) }),
    ],
    [
      'ConvTranspose in groups',
      [N, 4, 5],
      '[N, 6, 11]',
      (g, x) => g.op('ConvTranspose', [x, weight(g, 4, 3, 3)], { strides: ints([2]), group: int(2) }),
    ],
    [
      'ConvTranspose with more behind',
      [N, 4, 5],
      '[N, 3, 14]',
      (g, x) =>
        g.op('ConvTranspose', [x, weight(g, 4, 3, 3)], {
          strides: ints([2]),
          dilations: ints([2]),
          pads: ints([0, 0]),
          output_padding: ints([1]),
        }),
    ],
    [
      'ConvTranspose, padded',
      [N, 4, 5],
      '[N, 3, 8]',
      (g, x) => g.op('ConvTranspose', [x, weight(g, 4, 3, 3)], { strides: ints([2]), pads: ints([1, 2]) }),
    ],
    [
      'Resize by scales',
      [N, 3, 4, 5],
      '[N, 3, 8, 7]',
      (g, x) => g.op('Resize', [x, undefined, floats(g, 1, 1, 2, 1.5)]),
    ],
    [
      'Resize of some axes',
      [N, 3, 4, 5],
      '[N, 3, 8, 5]',
      (g, x) => g.op('Resize', [x, undefined, floats(g, 2)], { axes: ints([-2]) }),
    ],
    [
      'Resize to sizes',
      [N, 3, 4, 5],
      '[N, 3, 7, 6]',
      (g, x) => g.op('Resize', [x, undefined, undefined, g.vector([7, 6])], { axes: ints([2, 3]) }),
    ],
    // 4 × 5 to at most 8 × 7: 1.4 times; to at least that: twice.
    [
      'Resize that keeps the ratio, not larger',
      [N, 3, 4, 5],
      '[N, 3, 6, 7]',
      (g, x) =>
        g.op('Resize', [x, undefined, undefined, g.vector([8, 7])], {
          axes: ints([2, 3]),
          keep_aspect_ratio_policy: text('not_larger'),
        }),
    ],
    [
      'Resize that keeps the ratio, not smaller',
      [N, 3, 4, 5],
      '[N, 3, 8, 10]',
      (g, x) =>
        g.op('Resize', [x, undefined, undefined, g.vector([8, 7])], {
          axes: ints([2, 3]),
          keep_aspect_ratio_policy: text('not_smaller'),
        }),
    ],
    ['GlobalMaxPool', [N, 3, 4, 5], '[N, 3, 1, 1]', op('GlobalMaxPool')],
  ])('%s of %j is %s', (_, from, expected, build) => {
    expect(showShape(result(from, build).shape)).toBe(expected);
  });

  it.each<[string, Shape, Build]>([
    ['Reshape to a shape that is computed', [N, 3], (g, x) => g.op('Reshape', [x, g.cast(x, 7)])],
    ['Reshape of what has the batch twice', [N, N, 3], op('Flatten', { axis: int(2) })],
    ['Slice whose ends are computed', [N, 3], (g, x) => g.op('Slice', [x, g.vector([0]), g.cast(x, 7)])],
    ['Slice whose axes are computed', [N, 3], (g, x) => g.op('Slice', [x, g.vector([0]), g.vector([1]), g.cast(x, 7)])],
    [
      'Slice whose steps are computed',
      [N, 3],
      (g, x) => g.op('Slice', [x, g.vector([0]), g.vector([1]), g.vector([1]), g.cast(x, 7)]),
    ],
    ['Pad of what is computed', [N, 3], (g, x) => g.op('Pad', [x, g.cast(x, 7)])],
    ['Tile of what is computed', [N, 3], (g, x) => g.op('Tile', [x, g.cast(x, 7)])],
    ['Expand to what is computed', [N, 3], (g, x) => g.op('Expand', [x, g.cast(x, 7)])],
    ['ReduceSum over what is computed', [N, 3], (g, x) => g.op('ReduceSum', [x, g.cast(x, 7)])],
    ['Unsqueeze of what is computed', [N, 3], (g, x) => g.op('Unsqueeze', [x, g.cast(x, 7)])],
    ['Squeeze of what is computed', [N, 3], (g, x) => g.op('Squeeze', [x, g.cast(x, 7)])],
    ['Split into parts that are computed', [N, 3], (g, x) => g.op('Split', [x, g.cast(x, 7)])],
    ['Resize by scales that are computed', [N, 3], (g, x) => g.op('Resize', [x, undefined, x])],
    ['OneHot of a depth that is computed', [N], (g, x) => g.op('OneHot', [x, g.cast(x, 7), floats(g, 0, 1)])],
    ['an operator whose input is not known', [N], (g, x) => g.relu(g.op('NobodyKnows', [x]))],
  ])('%s is not known', (_, from, build) => {
    expect(result(from, build).shape).toBeUndefined();
  });

  it.each<[RegExp, Shape, Build]>([
    [
      /cannot convolve \[N, 3, 8\] with \[4, 3, 3\] in 3 groups/,
      [N, 3, 8],
      (g, x) => g.conv(x, weight(g, 4, 3, 3), { group: 3 }),
    ],
    [/cannot convolve/, [N, 3, 8, 8], (g, x) => g.conv(x, weight(g, 4, 3, 3))],
    [/cannot join \[N, 3\] and \[2, 3\] along axis 1/, [N, 3], (g, x) => g.concat([x, weight(g, 2, 3)], 1)],
    [/cannot join/, [N, 3], (g, x) => g.concat([x, weight(g, 3)], 1)],
    [/cannot join/, [2, 3], (g, x) => g.concat([x, weight(g, 2, 3, 1)], 1)],
    [/works along the batch/, [N, 3], (g, x) => g.concat([x, x], 0)],
    [/works along the batch/, [N, 3], (g, x) => g.slice(x, [1], [2 ** 31 - 1], [0])],
    [/works along the batch/, [N, 3], (g, x) => g.slice(x, [0], [7], [0])],
    [/works along the batch/, [N, 3], (g, x) => g.slice(x, [0], [2 ** 31 - 2], [0])],
    [/works along the batch/, [N, 3], (g, x) => g.slice(x, [0], [2 ** 31 - 1], [0], [2])],
    [/works along the batch/, [N, 3], (g, x) => g.pad(x, [1, 0, 0, 0])],
    [/works along the batch/, [N, 3], (g, x) => g.op('Resize', [x, undefined, floats(g, 2, 1)])],
    [/cannot give \[2, 3\] the shape \[4, 2\]/, [2, 3], (g, x) => g.op('Reshape', [x, g.vector([4, 2])])],
    [/cannot give \[2, 3\] the shape \[4, -1\]/, [2, 3], (g, x) => g.op('Reshape', [x, g.vector([4, -1])])],
    [/cannot give \[N, 3\] the shape \[1, 4\]/, [N, 3], (g, x) => g.op('Reshape', [x, g.vector([1, 4])])],
    [/cannot give \[N, 3\] the shape \[3, 1\]/, [N, 3], (g, x) => g.op('Reshape', [x, g.vector([3, 1])])],
    [/cannot transpose \[2, 3\] by \[0\]/, [2, 3], (g, x) => g.transpose(x, [0])],
    [/cannot multiply \[2, 3\] by \[4\]/, [2, 3], (g, x) => g.matmul(x, weight(g, 4))],
    [/cannot multiply/, [2, 2, 3], (g, x) => g.matmul(x, weight(g, 3, 3, 4))],
    [/leaves nothing of \[N, 1, 2\]; larger images are needed/, [N, 1, 2], op('MaxPool', { kernel_shape: ints([3]) })],
    [/cannot broadcast \[2, 3\] and \[2\]/, [2, 3], (g, x) => g.add(x, weight(g, 2))],
    [/there is no axis 5 of 2/, [2, 3], op('Flatten', { axis: int(5) })],
  ])('is refused where there is none: %s', (message, from, build) => {
    expect(() => result(from, build)).toThrow(message);
  });
});

describe('the type of what an operator gives', () => {
  it.each<[string, string | undefined, Build]>([
    ['Relu', 'float32', op('Relu')],
    ['Greater', 'bool', (g, x) => g.greater(x, x)],
    ['Not', 'bool', op('Not')],
    ['Cast', 'int64', (g, x) => g.cast(x, 7)],
    ['Cast without a type', 'float32', op('Cast')],
    ['Shape', 'int64', op('Shape')],
    ['Where', 'int64', (g, x) => g.where(g.greater(x, x), g.vector([1]), g.vector([2]))],
    ['OneHot', 'float32', (g, x) => g.oneHot(g.cast(x, 7), 3)],
    ['ConstantOfShape', 'float32', (g) => g.op('ConstantOfShape', [g.vector([2])])],
    [
      'ConstantOfShape of whole numbers',
      'int64',
      (g) => g.op('ConstantOfShape', [g.vector([2])], { value: { kind: 'tensor', value: intTensor([1], [1]) } }),
    ],
    ['the places of MaxPool', 'int64', (g, x) => g.ops('MaxPool', [x], 2, { kernel_shape: ints([1]) })[1] ?? x],
    ['the mask of Dropout', 'bool', (g, x) => g.ops('Dropout', [x], 2)[1] ?? x],
    ['the mean of LayerNormalization', 'float32', (g, x) => g.ops('LayerNormalization', [x, weight(g, 3)], 2)[1] ?? x],
    ['what nobody knows', undefined, op('NobodyKnows')],
  ])('%s: %s', (_, expected, build) => {
    expect(result([N, 2, 3], build).dtype).toBe(expected);
  });
});

describe('the builder', () => {
  it('gives every value a name of its own, and one constant to each number', () => {
    const g = new Builder(18);
    expect(['a', 'a', 'a_1', 'a'].map((name) => g.uniqueName(name))).toEqual(['a', 'a_1', 'a_1_1', 'a_2']);
    expect(g.scalar(2)).toBe(g.scalar(2));
    expect(g.scalar(2)).not.toBe(g.scalar(3));
    expect(g.vector([1, 2])).toBe(g.vector([1, 2]));
    expect(g.vector([1, 2])).not.toBe(g.vector([12]));
  });

  it('names an output as it is told, through an Identity where the value is taken', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [2]);
    const y = g.relu(x);
    expect(g.output('first', y)).toBe(y);
    expect(y.name).toBe('first');
    expect(g.output('first', y)).toBe(y);
    for (const [name, value] of [
      ['second', y],
      ['third', x],
      ['fourth', g.scalar(1)],
    ] as const)
      expect(g.output(name, value).producer).toMatchObject({ op: 'Identity', inputs: [value] });
    expect(g.graph.outputs.map(({ name }) => name)).toEqual(['first', 'first', 'second', 'third', 'fourth']);
    expect(() => g.output('third', g.exp(x))).toThrow(/the model has a value called "third"/);
  });

  it('writes the attributes of a convolution that are given, and no groups where there is one', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [N, 3, 8]);
    const names = ({ producer }: Value) => [...(producer?.attributes.keys() ?? [])];
    expect(names(g.conv(x, weight(g, 4, 3, 3)))).toEqual([]);
    expect(names(g.conv(x, weight(g, 4, 3, 3), { group: 1, pads: [1, 1] }))).toEqual(['pads']);
    expect(names(g.convTranspose(x, weight(g, 3, 4, 3)))).toEqual([]);
    expect(names(g.convTranspose(x, weight(g, 3, 4, 3), { strides: [2], outputPadding: [1] }))).toEqual([
      'strides',
      'output_padding',
    ]);
  });

  it('writes no Reshape to the shape that a value has', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [2, 3]);
    expect(g.reshape(x, [2, 3])).toBe(x);
    const others = [[3, 2], [2, 3, 1], [6]];
    expect(others.map((shape) => g.reshape(x, shape).shape)).toEqual(others);
  });

  it('sums over what was stretched, axes of length 1 behind it aside, and many rows in groups', () => {
    const sums = (from: number[], to: number[]) => {
      const g = new Builder(18);
      const y = g.unbroadcast(g.input('x', 'float32', from), to);
      expect(y.shape).toEqual(to);
      return g.graph.nodes.flatMap((node) => (node.op === 'ReduceSum' ? [showShape(node.input(0).shape)] : []));
    };
    expect(sums([2, 3], [2, 3])).toEqual([]);
    expect(sums([4, 3], [3])).toEqual(['[4, 3]']);
    expect(sums([4, 3, 1, 1], [3, 1, 1])).toEqual(['[4, 3]']);
    expect(sums([2, 2, 3], [3])).toEqual(['[4, 3]']);
    expect(sums([2, 3, 4], [2, 1, 4])).toEqual(['[2, 3, 4]']);
    expect(sums([2, 3, 1], [2, 1, 1])).toEqual(['[2, 3]']);
    expect(sums([2, 3, 4], [])).toEqual(['[2, 3, 4]']);
    // 256 rows make 16 groups of 16; 255 are too few, and 257, a prime number, make none.
    expect(sums([256, 3], [3])).toEqual(['[16, 16, 3]', '[16, 3]']);
    expect(sums([255, 3], [3])).toEqual(['[255, 3]']);
    expect(sums([257, 3], [3])).toEqual(['[257, 3]']);
    expect(sums([300, 3], [3])).toEqual(['[15, 20, 3]', '[15, 3]']);
  });

  it('leaves out an Expand before an operator that stretches by itself', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [2, 3]);
    const small = g.input('small', 'float32', [1, 3]);
    const wide = g.expand(small, [2, 3]);
    expect(g.mul(x, wide).producer?.inputs).toEqual([x, small]);
    expect(g.mul(wide, x).producer?.inputs).toEqual([small, x]);
    expect(g.mul(wide, wide).producer?.inputs).toEqual([small, wide]);
    // Alone it would not be stretched.
    expect(g.mul(wide, small).producer?.inputs).toEqual([wide, small]);
    expect(g.mul(wide, g.scalar(2)).producer?.input(0)).toBe(wide);
  });

  it('writes attributes of convolutions where they are given, and not the usual group', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [1, 2, 5, 5]);
    const node = (options: Parameters<Builder['conv']>[2], width = 2) =>
      g.conv(x, weight(g, 2, width, 1, 1), options).producer;
    expect([...(node({})?.attributes ?? [])]).toEqual([]);
    expect(node({ group: 1 })?.attributes.size).toBe(0);
    expect(node({ group: 2 }, 1)?.int('group', 0)).toBe(2);
    expect(node({ strides: [2, 2], pads: [0, 0, 1, 1], dilations: [1, 1] })?.ints('pads')).toEqual([0, 0, 1, 1]);
    expect(g.gemm(weight(g, 2, 3), weight(g, 3, 2)).producer?.float('alpha', 9)).toBe(1);
    expect(g.gemm(weight(g, 2, 3), weight(g, 3, 2)).producer?.float('beta', 9)).toBe(1);
  });
});
