import { describe, expect, it } from 'vitest';
import { cosineWithWarmup } from '../../src/optim/schedule.js';

describe('cosineWithWarmup', () => {
  it('rises in equal steps, and reaches the peak after them', () => {
    expect([0, 1, 2, 3].map((step) => cosineWithWarmup(1, step, 100, 3))).toEqual([0.25, 0.5, 0.75, 1]);
  });

  it('falls along half a cosine: a half at the middle, nothing at the end', () => {
    expect(cosineWithWarmup(2, 50, 100, 0)).toBeCloseTo(1, 12);
    expect(cosineWithWarmup(2, 100, 100, 0)).toBeCloseTo(0, 12);
    // cos(π/3) = 1/2 after a third of the way.
    expect(cosineWithWarmup(2, 40, 100, 10)).toBeCloseTo(1.5, 12);
  });
});
