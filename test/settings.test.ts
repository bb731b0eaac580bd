import { describe, expect, it } from 'vitest';
import { compileSettings } from '../src/artifacts/compileSettings.js';
import { UserError } from '../src/errors.js';
import { stepSettings } from '../src/optim/stepSettings.js';
import { settle } from '../src/settings.js';
import { settingToday } from '../src/train/trainOptions.js';

/** What a program is told of settings that its types would have refused. */
function refusal(given: object): string {
  try {
    settle(stepSettings, given);
  } catch (thrown) {
    if (thrown instanceof UserError) return thrown.message;
    throw thrown;
  }
  throw new Error('expected a refusal');
}

describe('settings of a program', () => {
  it.each([
    [
      { optimizer: { name: 'adamw', beta1: 2 } },
      /number from 0 up to, not including, 1, got `2` at beta1 \(optimizer\)/,
    ],
    [{ optimizer: { name: 'sgd', momentum: 'x' } }, /got `x` at momentum \(optimizer\)/],
    [{ optimizer: { name: 'adamw', bta: 1 } }, /there is no `bta` to set; leave it out \(optimizer\)/],
    [{ optimizer: { name: 'nadam' } }, /one of the names adam, .*, sgd, got `nadam` at name \(optimizer\)/],
    [{ optimizer: 'adamw' }, /an optimizer such as \{ name: 'adamw' \}.*got `adamw` \(optimizer\)/],
  ])('that are wrong in a part are refused by its name: %j', (given, message) => {
    expect(refusal(given)).toMatch(message);
  });

  it('name a policy in its one spelling, however it was written', () => {
    for (const [written, policy] of [
      ['f1c2', 'F1C2'],
      ['FXC1', 'FxC1'],
      ['Blocks:3', 'blocks:3'],
      ['layers: conv4 , FC1', 'layers:conv4,FC1'],
    ] as const)
      expect(settle(compileSettings, { policy: written }).policy).toBe(policy);
  });
});

it('a setting of an earlier run is read as it is written today', () => {
  expect(settingToday('policy', 'f1c1')).toBe('F1C1');
  expect(settingToday('plateauPatience', undefined)).toBe(3);
  expect(settingToday('patience', null)).toBeNull();
  expect(settingToday('photos', 'their hash')).toBe('their hash');
});
