import { describe, expect, it } from 'vitest';
import { PowerSum } from '../../src/energy/powerSum.js';

/** The sum of samples, each a time in milliseconds and watts, as far as it lies within a stretch of time. */
function sumOf(samples: readonly (readonly [number, number])[], fromMs: number, untilMs: number): PowerSum {
  const sum = new PowerSum();
  for (const [atMs, watts] of samples) sum.add(atMs, watts, fromMs, untilMs);
  return sum;
}

describe('PowerSum', () => {
  const rising = [
    [1000, 10],
    [1100, 20],
    [1300, 20],
    [1400, 0],
  ] as const;

  // Trapezoids by hand: 15 W · 0.1 s, 20 W · 0.2 s, 10 W · 0.1 s.
  it.each([
    ['all of it', 1000, 1400, 1.5 + 4 + 1],
    ['what lies on both sides, too', 0, 9000, 1.5 + 4 + 1],
    // From 15 W on, for 50 ms; 18 to 20 W for 20 ms.
    ['from within a stretch', 1050, 1100, 0.05 * 17.5],
    ['within one stretch', 1080, 1100, 0.02 * 19],
    ['until within a stretch', 1100, 1350, 4 + 0.05 * 15],
    ['between samples', 1310, 1320, 0.01 * 17],
    ['from a sample on', 1300, 1400, 1],
  ])('adds up power that changes evenly between samples: %s', (_, fromMs, untilMs, expected) => {
    expect(sumOf(rising, fromMs, untilMs).joules).toBeCloseTo(expected, 9);
  });

  it.each([
    ['before the first sample', 0, 1000],
    ['behind the last', 1400, 5000],
    ['of no length', 1200, 1200],
  ])('counts nothing in a stretch %s', (_, fromMs, untilMs) => {
    const sum = sumOf(rising, fromMs, untilMs);
    expect(sum.joules).toBeUndefined();
    expect(sum.longestGapMs).toBe(0);
  });

  it('tells the longest time without a sample, of what it counts', () => {
    expect(sumOf(rising, 1050, 1400).longestGapMs).toBe(200);
    expect(sumOf(rising, 1000, 1100).longestGapMs).toBe(100);
  });

  it('tells when the last sample was taken', () => {
    expect(sumOf([], 0, 1).lastMs).toBe(-Infinity);
    expect(sumOf(rising, 0, 1).lastMs).toBe(1400);
  });
});
