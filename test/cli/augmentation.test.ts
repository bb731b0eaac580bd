import { describe, expect, it } from 'vitest';
import yargs from 'yargs';
import { withSettings } from '../../src/cli/settingFlags.js';
import { augmentation } from '../../src/data/augment/augmentationSettings.js';
import { settle, settleFlags } from '../../src/settings.js';

const shape = { augmentation };
const parse = (line: string) => settleFlags(shape, withSettings(yargs(), shape).parseSync(line)).augmentation;

describe('augmentation flags', () => {
  it('switches on what was given and nothing else', () => {
    expect(parse('')).toEqual({ flip: 0, rotate: 0, erase: 0, mixup: 0, cutmix: 0 });
    expect(parse('--random-crop 0.35 --flip 0.5 --hue 0.1 --rand-augment 9 --mixup 0.2')).toEqual({
      crop: { scale: [0.35, 1], ratio: [3 / 4, 4 / 3] },
      flip: 0.5,
      rotate: 0,
      jitter: { brightness: 0, contrast: 0, saturation: 0, hue: 0.1 },
      randAugment: { operations: 2, magnitude: 9 },
      erase: 0,
      mixup: 0.2,
      cutmix: 0,
    });
    expect(parse('--rand-augment 5 --rand-augment-operations 3').randAugment).toEqual({ operations: 3, magnitude: 5 });
  });

  it.each([
    ['--flip 2', 'expected a number from 0 to 1, got `2` (flip)'],
    ['--hue 0.6', '(hue)'],
    ['--rotate x', 'got `NaN` (rotate)'],
    ['--mixup -1', 'expected a number from 0 up, got `-1` (mixup)'],
    ['--rand-augment-operations 2', 'randAugment beside'],
  ])('refuses %s', (line, words) => {
    expect(() => parse(line)).toThrow(expect.objectContaining({ code: 'bad-arguments' }));
    expect(() => parse(line)).toThrow(words);
  });

  it('refuses what a program gives by the part that is wrong', () => {
    expect(() => settle(shape, { augmentation: { flip: 2 } })).toThrow(
      expect.objectContaining({ code: 'bad-augmentation', message: expect.stringContaining('at flip') as string }),
    );
    expect(settle(shape, {}).augmentation).toMatchObject({ flip: 0, mixup: 0 });
  });

  it('refuses half an operation', () => {
    expect(() => parse('--rand-augment 9 --rand-augment-operations 1.5')).toThrow(
      'a whole number from 1 to 14, got `1.5` (randAugmentOperations)',
    );
  });
});
