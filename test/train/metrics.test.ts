import { describe, expect, it } from 'vitest';
import { crossEntropyOf, isBetter, isBetterEpoch, metricsOf } from '../../src/train/metrics.js';

describe('metricsOf', () => {
  // Three classes, six photos; predictions 0 0 1 1 2 0 for the classes 0 0 0 1 1 2.
  const logits = Float32Array.from([3, 1, 0, 2, 0, 1, 0, 4, 1, 1, 2, 0, 0, 1, 2, 5, 0, 1]);
  const metrics = metricsOf(logits, [0, 0, 0, 1, 1, 2], 3);

  it('counts what was given for what', () => {
    expect(metrics.confusion).toEqual([
      [2, 1, 0],
      [0, 1, 1],
      [1, 0, 0],
    ]);
    expect(metrics.top1).toBeCloseTo(3 / 6, 12);
    expect(metrics.top5).toBe(1);
  });

  it('gives precision, recall and F1 of each class, by hand', () => {
    expect(metrics.classes.map(({ photos }) => photos)).toEqual([3, 2, 1]);
    expect(metrics.classes.map(({ precision }) => precision)).toEqual([2 / 3, 1 / 2, 0]);
    expect(metrics.classes.map(({ recall }) => recall)).toEqual([2 / 3, 1 / 2, 0]);
    expect(metrics.classes[0]?.f1).toBeCloseTo(2 / 3, 12);
    expect(metrics.macroF1).toBeCloseTo((2 / 3 + 1 / 2) / 3, 12);
    expect(metrics.balancedAccuracy).toBeCloseTo((2 / 3 + 1 / 2) / 3, 12);
  });

  it('leaves classes without photos out of the means', () => {
    const some = metricsOf(Float32Array.from([1, 0, 0, 0, 1, 0]), [0, 1], 3);
    expect(some.macroF1).toBe(1);
    expect(some.classes[2]).toEqual({ photos: 0, precision: 0, recall: 0, f1: 0 });
  });

  it('counts a class among the first five by the classes before it', () => {
    const row = Float32Array.from([9, 8, 7, 6, 5, 4, 3]);
    expect(metricsOf(row, [4], 7).top5).toBe(1);
    expect(metricsOf(row, [5], 7).top5).toBe(0);
  });

  it('means the cross-entropy, also of large logits', () => {
    expect(crossEntropyOf(Float32Array.from([0, 0]), 1)).toBeCloseTo(Math.log(2), 12);
    expect(crossEntropyOf(Float32Array.from([1000, 0]), 0)).toBeCloseTo(0, 12);
    expect(crossEntropyOf(Float32Array.from([1000, 0]), 1)).toBeCloseTo(1000, 6);
  });
});

describe('isBetterEpoch', () => {
  const best = { value: 0.5, loss: 1 };
  it.each([
    ['a better metric', 'top1', { value: 0.6, loss: 2 }, true],
    ['a worse metric with a smaller loss', 'top1', { value: 0.4, loss: 0.1 }, false],
    ['the same metric with a smaller loss', 'macroF1', { value: 0.5, loss: 0.9 }, true],
    ['the same metric with the same loss', 'top1', { value: 0.5, loss: 1 }, false],
    ['the same metric with a greater loss', 'top1', { value: 0.5, loss: 1.1 }, false],
    ['the same metric with a loss that is no number', 'top1', { value: 0.5, loss: NaN }, false],
    ['no number', 'top1', { value: NaN, loss: 0 }, false],
  ] as const)('%s', (_, metric, now, expected) => {
    expect(isBetterEpoch(metric, now, best)).toBe(expected);
    expect(isBetterEpoch(metric, now, undefined)).toBe(!Number.isNaN(now.value));
  });
});

describe('isBetter', () => {
  it('wants more of a share and less of a loss', () => {
    expect(isBetter('top1', 0.6, 0.5)).toBe(true);
    expect(isBetter('loss', 0.6, 0.5)).toBe(false);
    expect(isBetter('loss', 0.6, undefined)).toBe(true);
    expect(isBetter('top1', 0.5, 0.5)).toBe(false);
  });
});
