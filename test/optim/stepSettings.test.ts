import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.js';
import { checkStep, stepSettings, weightsOfClasses } from '../../src/optim/stepSettings.js';
import { settle, settleFlags } from '../../src/settings.js';

describe('weightsOfClasses', () => {
  it('gives each class what it weighs, in order, and 1 to those that are not named', () => {
    expect(weightsOfClasses({ cat: 2, owl: 0 }, ['owl', 'dog', 'cat'])).toEqual([0, 1, 2]);
    expect(weightsOfClasses([3, 0], ['a', 'b'])).toEqual([3, 0]);
    expect(weightsOfClasses('equal', ['a', 'b'])).toBeUndefined();
  });

  it.each<[Record<string, number> | number[], RegExp]>([
    [{ cow: 2 }, /such as a=2, got `cow=2`/],
    [[1], /a weight for each of 2 classes, got `1`/],
    [[1, 1, 1], /a weight for each of 2 classes, got `3`/],
    [{ a: 0, b: 0 }, /a class that weighs more than 0/],
  ])('refuses %j for two classes', (weights, message) => {
    expect(() => weightsOfClasses(weights, ['a', 'b'])).toThrow(UserError);
    expect(() => weightsOfClasses(weights, ['a', 'b'])).toThrow(message);
  });
});

describe('checkStep', () => {
  it('lets a step have a part for each image, and no more', () => {
    expect(() => {
      checkStep({ batch: 4, accumulate: 4 });
    }).not.toThrow();
    expect(() => {
      checkStep({ batch: 4, accumulate: 5 });
    }).toThrow(/no more parts than batch 4, got `5`/);
  });
});

describe('the settings of a step', () => {
  it.each<[string, unknown]>([
    ['equal', 'equal'],
    ['balanced', 'balanced'],
    ['cat=2,dog=0.5', { cat: 2, dog: 0.5 }],
    ['a=0', { a: 0 }],
    ['a=b = 3', { 'a=b': 3 }],
  ])('read the class weights %s', (source, expected) => {
    expect(settleFlags(stepSettings, { 'class-weights': source }).classWeights).toEqual(expected);
  });

  it.each(['cat', '=2', 'cat=', 'cat= ', 'cat=-1', 'cat=x', 'cat=Infinity', 'cat=2,'])(
    'refuse the class weights %s',
    (source) => {
      expect(() => settleFlags(stepSettings, { 'class-weights': source })).toThrow(
        /expected equal, balanced, or classes/,
      );
    },
  );

  it.each<[string, number, boolean]>([
    ['batch', 1, true],
    ['batch', 0, false],
    ['accumulate', 1, true],
    ['accumulate', 0, false],
    ['clipNorm', 0, true],
    ['clipNorm', -0.5, false],
    ['averageDecay', 0, true],
    ['averageDecay', 0.999, true],
    ['averageDecay', 1, false],
    ['averageDecay', -0.1, false],
    ['labelSmoothing', 0, true],
    ['labelSmoothing', 0.99, true],
    ['labelSmoothing', 1, false],
    ['labelSmoothing', -0.1, false],
    ['focalGamma', 0, true],
    ['focalGamma', -0.1, false],
  ])('take for %s the number %d: %s', (key, value, isTaken) => {
    const settled = expect(() => settle(stepSettings, { [key]: value }));
    if (isTaken) settled.not.toThrow();
    else settled.toThrow(UserError);
  });

  it('take factors above 0 for the learning rate', () => {
    const settled = (multiplier: number) => () =>
      settle(stepSettings, { learningRateMultipliers: [{ glob: 'head', multiplier }] });
    expect(settled(0.1)).not.toThrow();
    for (const refused of [0, -0.1]) expect(settled(refused)).toThrow(UserError);
  });
});
