import { expect, it } from 'vitest';
import {
  inEachRound,
  interval95,
  meanOf,
  median,
  pairedDifference,
  ratio,
  shortfall,
  spreadOf,
  standardDeviation,
} from '../../src/bench/statistics.js';

it('takes the middle value, or the mean of the two in the middle', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([10, 1, 2, 4])).toBe(3);
  expect(() => median([])).toThrow(RangeError);
});

it('tells a spread, and none of nothing', () => {
  expect(spreadOf([2, 8, 4])).toEqual({ median: 4, min: 2, max: 8, count: 3 });
  expect(spreadOf([])).toBeUndefined();
});

it('divides round by round, so that a slow round falls out', () => {
  const peer = new Map([
    [1, 30],
    [2, 300],
  ]);
  const own = new Map([
    [2, 100],
    [1, 10],
  ]);
  expect([...ratio(peer, own).values()]).toEqual([3, 3]);
});

it('leaves out rounds that one of the quantities lacks', () => {
  const first = new Map([
    [1, 1],
    [2, 2],
    [3, 3],
  ]);
  const second = new Map([[2, 20]]);
  expect(inEachRound((a, b) => a + b, first, second)).toEqual(new Map([[2, 22]]));
});

it('tells a shortfall as a share of what was wanted', () => {
  expect(shortfall(8, 10, 'at least')).toBeCloseTo(0.2);
  expect(shortfall(11, 10, 'at least')).toBe(0);
  expect(shortfall(180, 150, 'at most')).toBeCloseTo(0.2);
  expect(shortfall(150, 150, 'at most')).toBe(0);
});

it("gives Student's interval of 95 %", () => {
  // Quantiles from the printed table; a sample whose standard deviation is known by hand.
  for (const [count, quantile] of [
    [2, 12.7062],
    [3, 4.30265],
    [4, 3.18245],
    [5, 2.77645],
    [6, 2.57058],
    [11, 2.22814],
    [31, 2.04227],
    [121, 1.97993],
  ] as const) {
    const values = Array.from({ length: count }, (_, index) => index);
    const deviation = Math.sqrt((count * (count + 1)) / 12);
    const { mean = NaN, low = NaN, high = NaN } = interval95(values) ?? {};
    expect(mean).toBeCloseTo((count - 1) / 2, 10);
    expect(((high - low) / 2 / deviation) * Math.sqrt(count)).toBeCloseTo(quantile, 3);
  }
  expect(interval95([3])).toBeUndefined();
  expect(standardDeviation([2, 4, 4, 4, 5, 5, 7, 9])).toBeCloseTo(Math.sqrt(32 / 7), 12);
  expect(() => meanOf([])).toThrow(RangeError);
});

it('compares seed by seed, so that what a seed brings falls out', () => {
  const better = new Map([0, 1, 2].map((seed) => [seed, 10 * seed + 2]));
  const worse = new Map([0, 1, 2, 3].map((seed) => [seed, 10 * seed]));
  expect(pairedDifference(better, worse)).toEqual({ mean: 2, low: 2, high: 2, count: 3 });
  expect(pairedDifference(better, new Map([[7, 1]]))).toBeUndefined();
});
