import { describe, expect, it } from 'vitest';
import { activationQuantization } from '../../src/quantize/range.js';

describe('the quantization of an activation', () => {
  it('spreads 256 levels over the range', () => {
    // 255 steps from −1 to 4.1 are 0.02 each; 0 lies 50 steps above the lowest.
    const { scale, zeroPoint } = activationQuantization({ min: -1, max: 4.1 });
    expect(scale).toBeCloseTo(0.02, 6);
    expect(zeroPoint).toBe(50);
  });

  it('widens a range to hold 0, which padding is made of', () => {
    expect(activationQuantization({ min: 2, max: 5.1 })).toEqual({ scale: Math.fround(0.02), zeroPoint: 0 });
    expect(activationQuantization({ min: -5.1, max: -2 })).toEqual({ scale: Math.fround(0.02), zeroPoint: 255 });
  });

  it('takes any steps where an activation is nothing but zeros', () => {
    expect(activationQuantization({ min: 0, max: 0 })).toEqual({ scale: 1, zeroPoint: 0 });
  });
});
