import { describe, expect, it } from 'vitest';
import { rangeOfRates, valleyOf } from '../../src/train/learningRateRange.js';

describe('valleyOf', () => {
  const rates = rangeOfRates(60);
  const flat = new Array<number>(10).fill(2.4);
  /** By 30 equal factors from 2.4 down to `lowest`. */
  const fallTo = (lowest: number) => Array.from({ length: 30 }, (_, step) => 2.4 * (lowest / 2.4) ** ((step + 1) / 30));

  it.each([
    ['nearly nothing, as where photos are learned by heart', 1e-6],
    ['a half', 1.2],
  ])('takes a rate from the middle third of the longest fall, down to %s', (_, lowest) => {
    const fall = fallTo(lowest);
    const chosen = valleyOf(rates, [...flat, ...fall, ...fall.toReversed(), 50, 100]);
    expect(chosen).toBeGreaterThanOrEqual(rates[10 + 9] ?? NaN);
    expect(chosen).toBeLessThanOrEqual(rates[10 + 20] ?? NaN);
  });

  it('ignores what falls after the loss blew up, and gives nothing where it never falls', () => {
    const again = fallTo(0.1);
    expect(valleyOf(rates, [2.4, 2.3, 2.2, 2.1, 50, ...again])).toBeLessThanOrEqual(rates[4] ?? NaN);
    expect(valleyOf(rates, [...flat, 3, 4, 50])).toBeUndefined();
    expect(valleyOf(rates, [...flat, NaN, ...again])).toBeUndefined();
  });
});
