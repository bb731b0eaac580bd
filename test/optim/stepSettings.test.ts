import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.js';
import { checkStep, weightsOfClasses } from '../../src/optim/stepSettings.js';

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
