import { expect, it } from 'vitest';
import { inEachRound, median, ratio, shortfall, spreadOf } from '../../src/bench/statistics.js';

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
