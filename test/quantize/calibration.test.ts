import { describe, expect, it } from 'vitest';
import { Calibration, type CalibrationMethod } from '../../src/quantize/calibration.js';
import { Random } from '../../src/random.js';

function rangeOf(method: CalibrationMethod, ...batches: number[][]) {
  const calibration = new Calibration(method);
  for (const batch of batches) calibration.observe('x', Float32Array.from(batch));
  const range = calibration.ranges().get('x');
  if (!range) throw new Error('x has no range');
  return range;
}

/** 0, 1, …, 99,999 thousandths of 10, and one number far beyond. */
const even = Array.from({ length: 100_000 }, (_, index) => index / 10_000);

describe('calibration', () => {
  it('takes the least and the largest of all batches by min-max', () => {
    expect(rangeOf('min-max', [1, -2, 0.5], [0, 4], [3])).toEqual({ min: -2, max: 4 });
    expect(rangeOf('min-max', [1, NaN, Infinity, -Infinity])).toEqual({ min: 1, max: 1 });
  });

  it('cuts off an outlier among a hundred thousand numbers by percentile of 99.999, but not two', () => {
    // 0.001 % of 200,000 numbers are two, one at either end.
    const one = rangeOf('percentile', even, [...even, 1000]);
    expect(one.min).toBe(0);
    expect(one.max).toBeGreaterThanOrEqual(9.9999);
    // To the width of a bin: 2 · 1000 / 4096, doubled where the histogram had to grow.
    expect(one.max).toBeLessThan(11);
    expect(rangeOf('percentile', even, [...even, 1000, 1000]).max).toBe(1000);
  });

  it('counts the same where a histogram grew as where it began large', () => {
    const grown = rangeOf('percentile', [0.01], even);
    expect(grown.min).toBe(0);
    expect(grown.max).toBeGreaterThan(9.98);
    expect(grown.max).toBeLessThanOrEqual(9.9999);
  });

  it('keeps an even distribution whole, and cuts off the thin end of a long one, by entropy', () => {
    expect(rangeOf('entropy', even).max).toBeGreaterThan(9.5);
    const random = new Random(1);
    const normal = Array.from({ length: 50_000 }, () => random.normal());
    const { min, max } = rangeOf('entropy', [...normal, 100]);
    expect(max).toBeGreaterThan(2.5);
    expect(max).toBeLessThan(10);
    expect(min).toBeGreaterThanOrEqual(-10);
  });

  it('gives an activation of zeros a range without width', () => {
    for (const method of ['min-max', 'percentile', 'entropy'] as const) {
      const { min, max } = rangeOf(method, [0, 0, 0]);
      expect(Math.abs(min) + Math.abs(max)).toBe(0);
    }
  });
});
