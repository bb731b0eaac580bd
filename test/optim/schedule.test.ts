import { describe, expect, it } from 'vitest';
import { Plateau, type ScheduleName, shareOfPeak } from '../../src/optim/schedule.js';

const at = (name: ScheduleName, step: number, total: number, warmup = 0) => shareOfPeak(name, { step, total, warmup });

describe('every schedule with a warm-up', () => {
  it.each(['cosine', 'linear', 'step', 'constant', 'plateau'] as const)(
    '%s rises in equal steps, and reaches the peak after them',
    (name) => {
      expect([0, 1, 2, 3].map((step) => at(name, step, 100, 3))).toEqual([0.25, 0.5, 0.75, 1]);
    },
  );
});

describe('cosine', () => {
  it('falls along half a cosine: a half at the middle, nothing at the end', () => {
    expect(at('cosine', 50, 100)).toBeCloseTo(0.5, 12);
    expect(at('cosine', 100, 100)).toBeCloseTo(0, 12);
    // cos(π/3) = 1/2 after a third of the way.
    expect(at('cosine', 40, 100, 10)).toBeCloseTo(0.75, 12);
  });
});

describe('the other schedules', () => {
  it('linear falls by equal amounts', () => {
    expect(at('linear', 25, 100)).toBeCloseTo(0.75, 12);
    expect(at('linear', 55, 100, 10)).toBeCloseTo(0.5, 12);
    // One step from the peak to the end.
    expect([2, 3].map((step) => at('linear', step, 3, 2))).toEqual([1, 0]);
  });

  it('step falls to a tenth at one half and at three quarters', () => {
    expect([49, 50, 74, 75].map((step) => at('step', step, 100))).toEqual([1, 0.1, 0.1, 0.01]);
  });

  it('are at the peak where the whole training is a warm-up, and behind it', () => {
    for (const name of ['cosine', 'linear', 'step'] as const) expect(at(name, 3, 3, 3)).toBe(1);
  });

  it('constant stays', () => {
    expect(at('constant', 99, 100)).toBe(1);
  });

  it('one-cycle is what PyTorch gives (torch.optim.lr_scheduler.OneCycleLR, 20 steps)', () => {
    const expected = [
      0.04, 0.1316718, 0.3716718, 0.6683282, 0.9083282, 1.0, 0.987464, 0.9504846, 0.8909162, 0.8117457, 0.716943,
      0.611262, 0.500002, 0.388742, 0.283061, 0.1882583, 0.1090878, 0.04951937, 0.01253999, 4e-6,
    ];
    expected.forEach((value, step) => expect(at('one-cycle', step, 20)).toBeCloseTo(value, 6));
  });

  it('one-cycle falls alone where there is no room to rise, and learns in a training of one step', () => {
    // PyTorch's two steps: the peak lies 0.4 steps before the first, the end at the second; (1 + cos(π · 0.4/1.4))/2.
    expect([0, 1].map((step) => at('one-cycle', step, 2))).toEqual([
      expect.closeTo(0.811746, 6),
      expect.closeTo(4e-6, 9),
    ]);
    expect(at('one-cycle', 0, 1)).toBeGreaterThan(0.5);
  });
});

describe('Plateau', () => {
  it('takes the same loss again for no gain, also where it is 0', () => {
    const plateau = new Plateau(0);
    for (const loss of [0, 0]) plateau.observe(loss);
    expect(plateau.factor).toBe(0.1);
  });

  it('takes the rate to a tenth when the loss has not fallen for more epochs than its patience', () => {
    const plateau = new Plateau(2);
    const factors = [1, 0.9, 0.91, 0.92, 0.93, 0.89, 0.89, 0.89, 0.89].map((loss) => {
      plateau.observe(loss);
      return plateau.factor;
    });
    expect(factors).toEqual([1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01]);
  });

  it('waits as long again behind each time, and takes less of a gain than a ten-thousandth for none', () => {
    const plateau = new Plateau(1);
    const factors = [1, 1, 1, 1, 1, 0.99995, 0.9998, 0.9998, 0.9998].map((loss) => {
      plateau.observe(loss);
      return plateau.factor;
    });
    const [first, second] = [0.1, 0.1 / 10];
    expect(factors).toEqual([1, 1, first, first, second, second, second, second, second / 10]);
  });
});
