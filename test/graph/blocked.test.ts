import { describe, expect, it } from 'vitest';
import { isBlockable } from '../../src/graph/blocked.js';
import { Builder } from '../../src/graph/builder.js';

describe('isBlockable', () => {
  const geometry = (kernel: readonly number[], group: number) => ({
    ...{ kernel, group, strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] },
  });

  // One channel at a time, in planes, whole blocks of channels.
  it.each<[boolean, string, number | undefined, readonly number[], number, number, number]>([
    [true, 'one channel at a time', 8, [3, 3], 16, 16, 16],
    [false, 'no blocked layout', undefined, [3, 3], 16, 16, 16],
    [false, 'sequences', 8, [3], 16, 16, 16],
    [false, 'several channels a group', 8, [3, 3], 8, 16, 16],
    [false, 'several kernels a channel', 8, [3, 3], 16, 16, 32],
    [false, 'more kernels than groups', 8, [3, 3], 16, 32, 16],
    [false, 'a part of a block', 16, [3, 3], 24, 24, 24],
    [false, 'one channel', 1, [3, 3], 1, 1, 1],
  ])('is %s of a convolution of %s', (expected, _, blockSize, kernel, group, channels, kernels) => {
    expect(isBlockable(new Builder(18, blockSize), geometry(kernel, group), channels, kernels)).toBe(expected);
  });
});
