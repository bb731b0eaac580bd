import { describe, expect, it } from 'vitest';
import { floatTensor } from '../../src/onnx/tensor.js';
import { quantizeWeight } from '../../src/quantize/weight.js';

describe('the quantization of a weight', () => {
  it('gives each channel of axis 0 a scale by its own largest weight', () => {
    const weight = floatTensor([2, 1, 1, 2], [1.27, -0.635, 0.01, 0.0254]);
    const { whole, scales } = quantizeWeight(weight, { axis: 0, largest: 127 });
    expect(scales[0]).toBeCloseTo(0.01, 7);
    expect(scales[1]).toBeCloseTo(0.0002, 7);
    // −0.635 is −63.5 steps, and halves go up; 0.01 is 50 of 0.0002.
    expect([...whole.data]).toEqual([127, expect.toBeOneOf([-63, -64]), 50, 127]);
    expect(whole.dtype).toBe('int8');
  });

  it('gives the columns of a matrix their scales along axis 1', () => {
    const { whole, scales } = quantizeWeight(floatTensor([2, 2], [127, 1, -127, 0.5]), { axis: 1, largest: 127 });
    expect(scales[0]).toBe(1);
    expect(scales[1]).toBeCloseTo(1 / 127, 7);
    expect([...whole.data]).toEqual([127, 127, -127, 64]);
  });

  it('takes 7 bits where it is told so', () => {
    const { whole } = quantizeWeight(floatTensor([1, 2], [1, -0.5]), { axis: 0, largest: 63 });
    expect([...whole.data]).toEqual([63, expect.toBeOneOf([-31, -32])]);
  });

  it('makes a channel of tiny weights coarser rather than let its bias overflow 32 bits', () => {
    const inputScale = 0.01;
    const { scales } = quantizeWeight(floatTensor([1, 1], [1e-9]), {
      axis: 0,
      largest: 127,
      bias: floatTensor([1], [5]),
      inputScale,
    });
    expect(5 / ((scales[0] ?? 0) * inputScale)).toBeLessThan(2 ** 31);
    expect(5 / ((scales[0] ?? 0) * inputScale)).toBeGreaterThan(2 ** 29);
  });
});
