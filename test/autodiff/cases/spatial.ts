import type { Builder } from '../../../src/graph/builder.js';
import { int, ints } from '../../../src/graph/graph.js';
import { type Case, one } from '../finiteDifferences.js';

const conv = (what: string, x: number[], w: number[], attributes: Parameters<Builder['conv']>[2], bias = false): Case =>
  one('Conv', what, bias ? [x, w, [w[0] ?? 0]] : [x, w], (g, a, b, c) =>
    g.conv(a, b, attributes, bias ? c : undefined),
  );

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
];
