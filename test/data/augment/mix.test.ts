import { describe, expect, it } from 'vitest';
import { parseAugmentation } from '../../../src/data/augment/augmentation.js';
import { type Batch, oneHot } from '../../../src/data/augment/batch.js';
import { beta } from '../../../src/data/augment/beta.js';
import { cutmix } from '../../../src/data/augment/cutmix.js';
import { mix } from '../../../src/data/augment/mix.js';
import { mixup } from '../../../src/data/augment/mixup.js';
import { Random } from '../../../src/random.js';

/** Picture n is all of the value 100 · n, of class n. */
const [count, width, height, classes] = [3, 8, 6, 4];
const batch: Batch = {
  count,
  width,
  height,
  pixels: Uint8Array.from(
    { length: count * width * height * 3 },
    (_, at) => 100 * Math.floor(at / (width * height * 3)),
  ),
  targets: oneHot([0, 1, 2], classes),
};
const before = structuredClone(batch);
const seeds = Array.from({ length: 40 }, (_, seed) => seed);
const row = (values: Float32Array, at: number) => [...values.subarray(at * classes, (at + 1) * classes)];

it('writes one-hot targets', () => {
  expect([...oneHot([1, 0], 3)]).toEqual([0, 1, 0, 1, 0, 0]);
});

describe('mixup', () => {
  it('mixes each picture and its target with the one before, the first with the last, in one share', () => {
    for (const seed of seeds) {
      const { pixels, targets } = mixup(batch, 0.4, new Random(seed));
      const share = row(targets, 1)[1] ?? NaN;
      expect(row(targets, 1)[0]).toBeCloseTo(1 - share, 5);
      expect(row(targets, 0)[2]).toBeCloseTo(1 - share, 5);
      const second = pixels.subarray(width * height * 3, 2 * width * height * 3);
      expect(new Set(second).size).toBe(1);
      expect(Math.abs((second[0] ?? NaN) - 100 * share)).toBeLessThan(0.51);
      expect(Math.abs((pixels[0] ?? NaN) - 200 * (1 - share))).toBeLessThan(0.51);
    }
    expect(batch).toEqual(before);
  });
});

describe('cutmix', () => {
  it('pastes one rectangle, and the target follows its area', () => {
    for (const seed of seeds) {
      const { pixels, targets } = cutmix(batch, 1, new Random(seed));
      const places = Array.from({ length: width * height }, (_, at) => at);
      const second = places.filter((at) => pixels[(width * height + at) * 3] === 0);
      const first = places.filter((at) => pixels[at * 3] === 200);
      expect(first).toEqual(second);
      const columns = new Set(second.map((at) => at % width)).size;
      const rows = new Set(second.map((at) => Math.floor(at / width))).size;
      expect(second.length).toBe(columns * rows);
      const share = 1 - second.length / (width * height);
      expect(row(targets, 1)[1]).toBeCloseTo(share, 5);
      expect(row(targets, 1)[0]).toBeCloseTo(1 - share, 5);
    }
    expect(batch).toEqual(before);
  });
});

describe('mix', () => {
  it('is off, one of them, or either by chance', () => {
    expect(mix(batch, parseAugmentation({}), new Random(1))).toBe(batch);
    expect(mix(batch, parseAugmentation({ mixup: 0.2 }), new Random(1))).toEqual(mixup(batch, 0.2, new Random(1)));
    expect(mix(batch, parseAugmentation({ cutmix: 1 }), new Random(1))).toEqual(cutmix(batch, 1, new Random(1)));
    const both = seeds.map((seed) => mix(batch, parseAugmentation({ mixup: 0.2, cutmix: 1 }), new Random(seed)));
    // Pasting leaves the three values that were there; mixing makes others.
    const pasted = both.filter(({ pixels }) => pixels.every((value) => value % 100 === 0)).length;
    expect(pasted).toBeGreaterThan(8);
    expect(pasted).toBeLessThan(32);
  });
});

describe('beta', () => {
  it.each([0.1, 0.4, 1, 3])('has the mean and variance of Beta(%d, %d)', (alpha) => {
    const random = new Random(5);
    const values = Array.from({ length: 20_000 }, () => beta(alpha, random));
    const mean = values.reduce((sum, value) => sum + value) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(values.every((value) => value >= 0 && value <= 1)).toBe(true);
    expect(mean).toBeCloseTo(1 / 2, 1.7);
    // Var = 1 / (4 (2α + 1))
    expect(Math.abs(variance - 1 / (4 * (2 * alpha + 1)))).toBeLessThan(0.005);
  });
});
