import type { Builder } from '../../../src/graph/builder.js';
import { type Attribute, int, ints, text } from '../../../src/graph/graph.js';
import { type Case, one } from '../finiteDifferences.js';

const conv = (what: string, x: number[], w: number[], attributes: Parameters<Builder['conv']>[2], bias = false): Case =>
  one('Conv', what, bias ? [x, w, [w[0] ?? 0]] : [x, w], (g, a, b, c) =>
    g.conv(a, b, attributes, bias ? c : undefined),
  );

const convTranspose = (what: string, x: number[], w: number[], attributes: Record<string, Attribute>, bias = 0): Case =>
  one('ConvTranspose', what, bias ? [x, w, [bias]] : [x, w], (g, a, b, c) =>
    g.op('ConvTranspose', bias ? [a, b, c] : [a, b], attributes),
  );

/** Convolutions and transposed ones. */
export const convolution: readonly Case[] = [
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
  conv('3×3 side by side', [2, 2, 6, 9], [4, 2, 3, 3], { strides: [3, 3] }, true),
  conv('2×3 side by side', [2, 3, 4, 6], [4, 3, 2, 3], { strides: [2, 3] }),
  conv('depthwise 3×3', [2, 4, 5, 5], [4, 1, 3, 3], { group: 4, pads: [1, 1, 1, 1] }, true),
  conv('depthwise 3×3, stride 2', [2, 3, 6, 6], [3, 1, 3, 3], { group: 3, strides: [2, 2], pads: [1, 1, 1, 1] }),
  conv('depthwise 5×5, stride 2, asymmetric pads', [2, 3, 8, 8], [3, 1, 5, 5], {
    group: 3,
    strides: [2, 2],
    pads: [1, 1, 2, 2],
  }),
  conv('depthwise 3×3, stride 3, a remainder', [1, 2, 9, 8], [2, 1, 3, 3], { group: 2, strides: [3, 3] }),
  conv('depthwise 3×3, dilated', [1, 3, 7, 7], [3, 1, 3, 3], { group: 3, dilations: [2, 2], pads: [2, 2, 2, 2] }),

  conv('1×1 in three groups', [2, 6, 4, 4], [3, 2, 1, 1], { group: 3 }),
  conv('3×3 in two groups', [2, 4, 5, 4], [6, 2, 3, 3], { group: 2, pads: [1, 1, 1, 1] }, true),
  conv('3×3 in three groups, stride 2, dilated', [2, 6, 9, 8], [3, 2, 3, 3], {
    group: 3,
    strides: [2, 1],
    dilations: [1, 2],
    pads: [1, 0, 2, 1],
  }),
  conv('depthwise 3×3, two outputs a channel', [2, 3, 5, 5], [6, 1, 3, 3], {
    group: 3,
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  }),
  conv('depthwise 3×3, two outputs a channel, no strides', [2, 3, 5, 5], [6, 1, 3, 3], { group: 3 }),
  conv('3×3, two inputs for an output', [2, 6, 5, 5], [3, 2, 3, 3], { group: 3 }),
  conv('depthwise 2×4, unequal strides, dilations and pads', [1, 2, 7, 9], [2, 1, 2, 4], {
    group: 2,
    strides: [1, 3],
    dilations: [3, 1],
    pads: [2, 0, 1, 3],
  }),
  conv('padded by more than the kernel', [1, 2, 4, 4], [2, 2, 3, 3], { strides: [2, 2], pads: [3, 3, 3, 3] }),
  conv('1-D, stride 2', [2, 3, 9], [4, 3, 3], { strides: [2], pads: [1, 0] }, true),
  conv('1-D, two groups, dilated', [2, 4, 9], [6, 2, 3], { group: 2, dilations: [2] }),
  conv('1-D, depthwise', [2, 3, 9], [3, 1, 3], { group: 3, pads: [1, 1], strides: [2] }),
  conv('1-D, pointwise', [2, 3, 5], [4, 3, 1], {}),
  conv('3-D', [1, 2, 4, 5, 3], [3, 2, 2, 3, 2], { strides: [1, 2, 1], pads: [0, 1, 1, 1, 1, 0] }),
  ...['SAME_UPPER', 'SAME_LOWER', 'VALID'].map((how) =>
    one(
      'Conv',
      `auto_pad ${how}`,
      [
        [1, 2, 6, 7],
        [3, 2, 3, 4],
      ],
      (g, x, w) => g.op('Conv', [x, w], { auto_pad: text(how), strides: ints([2, 2]) }),
    ),
  ),
  convTranspose('3×3', [2, 3, 4, 3], [3, 2, 3, 3], {}, 2),
  convTranspose('3×3, stride 2, padded', [2, 3, 4, 3], [3, 2, 3, 3], {
    strides: ints([2, 2]),
    pads: ints([1, 0, 1, 1]),
    output_padding: ints([1, 0]),
  }),
  convTranspose('2×3, unequal strides, dilated', [1, 2, 3, 4], [2, 3, 2, 3], {
    strides: ints([3, 1]),
    dilations: ints([1, 2]),
  }),
  convTranspose('3×3 in two groups, stride 2', [2, 4, 3, 3], [4, 3, 3, 3], { strides: ints([2, 2]), group: int(2) }, 6),
  convTranspose('2×2, depthwise, stride 2', [2, 3, 3, 4], [3, 1, 2, 2], { strides: ints([2, 2]), group: int(3) }),
  convTranspose('1×1', [2, 3, 3, 4], [3, 2, 1, 1], {}, 2),
  convTranspose('1-D, stride 2', [2, 3, 5], [3, 2, 4], { strides: ints([2]), pads: ints([1, 1]) }, 2),
  convTranspose('output_shape', [1, 2, 3, 4], [2, 2, 4, 3], { strides: ints([2, 2]), output_shape: ints([7, 8]) }),
  convTranspose('output_shape beyond every window', [1, 2, 3, 3], [2, 2, 2, 2], {
    strides: ints([2, 2]),
    output_shape: ints([7, 7]),
  }),
  ...['SAME_UPPER', 'SAME_LOWER', 'VALID'].map((how) =>
    convTranspose(`auto_pad ${how}`, [1, 2, 3, 4], [2, 2, 4, 3], { strides: ints([2, 2]), auto_pad: text(how) }),
  ),
];
