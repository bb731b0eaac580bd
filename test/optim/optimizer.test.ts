import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.js';
import { optimizerCalled, optimizerSchema, optimizers } from '../../src/optim/optimizer.js';

describe('optimizerCalled', () => {
  it('gives the defaults, and settings in their place', () => {
    expect(optimizerCalled('adamw')).toEqual(optimizers.adamw);
    expect(optimizerCalled('sgd', { nesterov: true, momentum: 0.8 })).toEqual({
      name: 'sgd',
      momentum: 0.8,
      nesterov: true,
      weightDecay: 1e-4,
    });
  });

  it.each<[string, Record<string, number | boolean>, RegExp]>([
    ['adamx', {}, /expected one of adam, adamw, lamb, lars, rmsprop, sgd, got "adamx" \(optimizer\)/],
    ['toString', {}, /optimizer/],
    ['adamw', { momentum: 0.9 }, /adamw has no momentum/],
    ['sgd', { weightDecay: -1 }, /expected a number from 0 up, got `-1` \(weightDecay\)/],
    ['sgd', { momentum: 1 }, /expected a number from 0 up to, not including, 1, got `1` \(momentum\)/],
    ['sgd', { momentum: NaN }, /expected a number from 0 up to, not including, 1, got `NaN` \(momentum\)/],
    ['adam', { epsilon: 0 }, /expected a number above 0, got `0` \(epsilon\)/],
    ['sgd', { momentum: 0, nesterov: true }, /momentum above 0 with nesterov/],
  ])('refuses %s with %j in one line', (name, settings, message) => {
    expect(() => optimizerCalled(name, settings)).toThrow(UserError);
    expect(() => optimizerCalled(name, settings)).toThrow(message);
  });

  it('reads manifests that were written before Nesterov was there', () => {
    expect(optimizerSchema.parse({ name: 'sgd', momentum: 0.9, weightDecay: 1e-4 })).toEqual(optimizers.sgd);
  });
});
