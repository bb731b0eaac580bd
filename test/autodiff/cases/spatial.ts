import type { Builder } from '../../../src/graph/builder.js';
import { type Attribute, float, int, ints, text } from '../../../src/graph/graph.js';
import { floatTensor, intTensor } from '../../../src/onnx/tensor.js';
import { type Case, one } from '../finiteDifferences.js';

const conv = (what: string, x: number[], w: number[], attributes: Parameters<Builder['conv']>[2], bias = false): Case =>
  one('Conv', what, bias ? [x, w, [w[0] ?? 0]] : [x, w], (g, a, b, c) =>
    g.conv(a, b, attributes, bias ? c : undefined),
  );

const transposedConv = (
  what: string,
  x: number[],
  w: number[],
  attributes: Record<string, Attribute>,
  bias?: number,
): Case =>
  one('ConvTranspose', what, bias === undefined ? [x, w] : [x, w, [bias]], (g, a, b, c) =>
    g.op('ConvTranspose', bias === undefined ? [a, b] : [a, b, c], attributes),
  );

const pool = (what: string, x: number[], attributes: Record<string, Attribute>, opset?: number): Case => ({
  ...one('AveragePool', what, [x], (g, a) => g.op('AveragePool', [a], attributes)),
  ...(opset === undefined ? {} : { opset }),
});

const resize = (
  what: string,
  x: number[],
  target: { scales?: number[]; sizes?: number[] },
  attributes: Record<string, Attribute>,
): Case =>
  one('Resize', what, [x], (g, a) =>
    g.op(
      'Resize',
      [
        a,
        undefined,
        target.scales && g.constant('scales', floatTensor([target.scales.length], target.scales)),
        target.sizes && g.constant('sizes', intTensor([target.sizes.length], target.sizes)),
      ].slice(0, target.sizes ? 4 : 3),
      attributes,
    ),
  );

const padded = (what: string, x: number[], pads: number[], mode: string, axes?: number[]): Case => ({
  ...one('Pad', what, [x], (g, a) =>
    g.op('Pad', axes ? [a, g.vector(pads), undefined, g.vector(axes)] : [a, g.vector(pads)], { mode: text(mode) }),
  ),
  opset: mode === 'wrap' ? 19 : 18,
});

/** Convolutions, poolings, and operators that move or select elements. */
export const spatial: readonly Case[] = [
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
  one('Flatten', 'axis 1', [[2, 3, 2]], (g, a) => g.op('Flatten', [a], { axis: int(1) })),
  one('GlobalAveragePool', 'unequal sides', [[2, 3, 4, 5]], (g, a) => g.op('GlobalAveragePool', [a])),
  one('MaxPool', '2×2, stride 2', [[2, 3, 4, 6]], (g, a) =>
    g.op('MaxPool', [a], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }),
  ),
  one('MaxPool', '3×3, stride 2, overlapping and padded', [[2, 2, 7, 7]], (g, a) =>
    g.op('MaxPool', [a], { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }),
  ),
  one('Reshape', 'another rank', [[2, 6]], (g, a) => g.reshape(a, [3, 2, 2])),
  one('Squeeze', 'two axes', [[2, 1, 3, 1]], (g, a) => g.squeeze(a, [1, 3])),
  one('Transpose', 'three axes', [[2, 3, 4]], (g, a) => g.transpose(a, [1, 2, 0])),
  one('Unsqueeze', 'two axes', [[2, 3]], (g, a) => g.unsqueeze(a, [0, 3])),
  conv(
    '3×3 in 2 groups, stride 2, padded',
    [2, 4, 6, 5],
    [6, 2, 3, 3],
    { group: 2, strides: [2, 2], pads: [1, 1, 1, 1] },
    true,
  ),
  conv('1×1 in 3 groups', [2, 6, 3, 3], [9, 2, 1, 1], { group: 3 }),
  conv('3×3 in 2 groups, dilated', [1, 4, 7, 7], [4, 2, 3, 3], { group: 2, dilations: [2, 2] }),
  conv('depthwise with two kernels a channel', [2, 3, 5, 5], [6, 1, 3, 3], { group: 3, pads: [1, 1, 1, 1] }),
  conv('1-D, stride 2, dilated', [2, 3, 11], [4, 3, 3], { strides: [2], dilations: [2], pads: [1, 2] }, true),
  conv('1-D, depthwise', [2, 4, 9], [4, 1, 5], { group: 4, pads: [2, 2] }),
  conv('1-D, pointwise', [2, 3, 5], [4, 3, 1], {}),
  one(
    'Conv',
    'auto_pad SAME_UPPER, stride 2',
    [
      [1, 2, 7, 6],
      [3, 2, 3, 3],
    ],
    (g, a, b) => g.op('Conv', [a, b], { auto_pad: text('SAME_UPPER'), strides: ints([2, 2]) }),
  ),
  transposedConv('3×3', [2, 3, 4, 5], [3, 2, 3, 3], {}, 2),
  transposedConv('2×2, stride 2', [2, 3, 3, 3], [3, 4, 2, 2], { strides: ints([2, 2]) }),
  transposedConv('3×3, stride 2, padded, with output padding', [1, 2, 3, 4], [2, 3, 3, 3], {
    strides: ints([2, 2]),
    pads: ints([1, 1, 1, 1]),
    output_padding: ints([1, 1]),
  }),
  transposedConv('in 2 groups, dilated', [1, 4, 4, 4], [4, 2, 3, 3], { group: int(2), dilations: ints([2, 2]) }),
  transposedConv('depthwise, stride 2', [2, 3, 3, 4], [3, 1, 4, 4], {
    group: int(3),
    strides: ints([2, 2]),
    pads: ints([1, 1, 1, 1]),
  }),
  transposedConv('1×1', [2, 3, 3, 3], [3, 2, 1, 1], {}),
  transposedConv('1-D, stride 2', [2, 3, 5], [3, 2, 3], { strides: ints([2]), pads: ints([1, 0]) }),
  transposedConv('of a stated size', [1, 2, 3, 3], [2, 2, 3, 3], { strides: ints([2, 2]), output_shape: ints([7, 6]) }),
  pool('2×2, stride 2', [2, 3, 4, 6], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }),
  pool('3×3, stride 1, padded', [1, 2, 5, 5], { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) }),
  pool('3×3, stride 1, padded, counting the padding', [1, 2, 5, 5], {
    kernel_shape: ints([3, 3]),
    pads: ints([1, 1, 1, 1]),
    count_include_pad: int(1),
  }),
  pool('3×2, stride 2, a remainder', [2, 2, 8, 7], { kernel_shape: ints([3, 2]), strides: ints([2, 2]) }),
  pool('3×3, stride 2, ceil mode', [1, 2, 6, 6], {
    kernel_shape: ints([3, 3]),
    strides: ints([2, 2]),
    ceil_mode: int(1),
  }),
  pool('2×2, dilated', [1, 2, 6, 6], { kernel_shape: ints([2, 2]), dilations: ints([2, 2]) }, 19),
  pool('SAME_LOWER', [1, 2, 5, 5], { kernel_shape: ints([2, 2]), auto_pad: text('SAME_LOWER') }),
  pool('all of it', [2, 3, 4, 4], { kernel_shape: ints([4, 4]) }),
  pool('1-D', [2, 3, 7], { kernel_shape: ints([3]), strides: ints([2]) }),
  one('DepthToSpace', 'depth first', [[2, 8, 2, 3]], (g, a) => g.op('DepthToSpace', [a], { blocksize: int(2) })),
  one('DepthToSpace', 'column first', [[1, 8, 2, 3]], (g, a) =>
    g.op('DepthToSpace', [a], { blocksize: int(2), mode: text('CRD') }),
  ),
  one('Expand', 'a new axis and a stretched one', [[3, 1, 2]], (g, a) => g.expand(a, [4, 3, 5, 2])),
  one('Gather', 'some of the middle axis, one twice', [[2, 5, 3]], (g, a) => g.gather(a, g.vector([4, 0, -1]), 1)),
  one('Gather', 'a permutation of channels', [[2, 4, 2, 2]], (g, a) => g.gather(a, g.vector([2, 0, 3, 1]), 1)),
  one('Gather', 'one place, which takes the axis away', [[3, 4]], (g, a) =>
    g.gather(a, g.constant('index', intTensor([], [2])), 1),
  ),
  one('Gather', 'a table of rows', [[5, 3]], (g, a) =>
    g.gather(a, g.constant('indices', intTensor([2, 2], [0, 3, 3, 1])), 0),
  ),
  one('GlobalMaxPool', 'unequal sides', [[2, 3, 4, 5]], (g, a) => g.op('GlobalMaxPool', [a])),
  one('MaxPool', 'ceil mode, dilated', [[1, 2, 8, 8]], (g, a) =>
    g.op('MaxPool', [a], {
      kernel_shape: ints([2, 2]),
      strides: ints([3, 3]),
      dilations: ints([2, 2]),
      ceil_mode: int(1),
    }),
  ),
  one('MaxPool', '1-D, SAME_UPPER', [[2, 3, 7]], (g, a) =>
    g.op('MaxPool', [a], { kernel_shape: ints([3]), strides: ints([2]), auto_pad: text('SAME_UPPER') }),
  ),
  padded('zeros, some axes', [2, 3, 4], [1, 2, 0, 1], 'constant', [1, -1]),
  padded('cut at one side', [2, 5, 4], [0, -1, 1, 0, 2, -2], 'constant'),
  padded('reflect', [1, 2, 4, 5], [0, 0, 2, 1, 0, 0, 1, 3], 'reflect'),
  padded('edge', [1, 2, 3, 3], [0, 1, 2, 1, 0, 0, 1, 3], 'edge'),
  padded('wrap', [1, 2, 3, 4], [0, 0, 1, 2, 0, 0, 1, 3], 'wrap'),
  resize(
    'nearest, doubled',
    [1, 2, 3, 4],
    { scales: [1, 1, 2, 2] },
    {
      coordinate_transformation_mode: text('asymmetric'),
      nearest_mode: text('floor'),
    },
  ),
  resize('nearest, half pixel, odd sizes', [1, 2, 5, 4], { sizes: [1, 2, 7, 3] }, {}),
  resize('linear, half pixel', [1, 2, 3, 4], { scales: [1, 1, 2, 1.5] }, { mode: text('linear') }),
  resize(
    'linear, PyTorch',
    [1, 2, 5, 6],
    { sizes: [1, 2, 3, 1] },
    {
      mode: text('linear'),
      coordinate_transformation_mode: text('pytorch_half_pixel'),
    },
  ),
  resize(
    'linear, corners aligned',
    [1, 2, 3, 4],
    { sizes: [1, 2, 5, 7] },
    {
      mode: text('linear'),
      coordinate_transformation_mode: text('align_corners'),
    },
  ),
  resize(
    'linear, asymmetric',
    [1, 1, 4, 4],
    { scales: [1, 1, 1.7, 2.3] },
    {
      mode: text('linear'),
      coordinate_transformation_mode: text('asymmetric'),
    },
  ),
  resize('cubic', [1, 2, 4, 4], { sizes: [1, 2, 7, 6] }, { mode: text('cubic'), cubic_coeff_a: float(-0.5) }),
  one('Slice', 'begins and ends, some axes', [[3, 5, 4]], (g, a) => g.slice(a, [1, -3], [2 ** 31, -1], [1, -1])),
  one('Slice', 'every second', [[2, 7, 3]], (g, a) => g.slice(a, [1], [7], [1], [2])),
  one('Slice', 'backwards', [[2, 6]], (g, a) => g.slice(a, [-2], [-(2 ** 31)], [1], [-2])),
  one('SpaceToDepth', 'blocks of 2', [[2, 3, 4, 6]], (g, a) => g.op('SpaceToDepth', [a], { blocksize: int(2) })),
  one('Split', 'stated lengths, one part unused', [[2, 7, 3]], (g, a) => {
    const [first, , last] = g.ops('Split', [a, g.vector([2, 1, 4])], 3, { axis: int(1) });
    return g.mul(g.reduceSum(first ?? a, [1]), last ?? a);
  }),
  one('Split', 'equal parts, the last shorter', [[5, 2]], (g, a) => {
    const [first, last] = g.ops('Split', [a], 2, { axis: int(0), num_outputs: int(2) });
    return g.concat([last ?? a, first ?? a], 0);
  }),
  one('Tile', 'two axes', [[2, 3, 2]], (g, a) => g.op('Tile', [a, g.vector([1, 2, 3])])),
];
