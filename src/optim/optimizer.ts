import { z } from 'zod';
import { UserError } from '../errors.js';
import { type Adam, adam, adamSettings } from './optimizers/adam.js';
import { type AdamW, adamw, adamwSettings } from './optimizers/adamw.js';
import { type Lamb, lamb, lambSettings } from './optimizers/lamb.js';
import { type Lars, lars, larsSettings } from './optimizers/lars.js';
import { type RmsProp, rmsprop, rmspropSettings } from './optimizers/rmsprop.js';
import type { UpdateRule } from './optimizers/rule.js';
import { type Sgd, sgd, sgdSettings } from './optimizers/sgd.js';

export type { Adam, AdamW, Lamb, Lars, RmsProp, Sgd };

/** An optimizer's name and settings; a setting that is left out gets PyTorch's default, or what is usual with photos. */
export const optimizerSchema = z.discriminatedUnion('name', [
  adamSettings,
  adamwSettings,
  lambSettings,
  larsSettings,
  rmspropSettings,
  sgdSettings,
]);
export type Optimizer = z.infer<typeof optimizerSchema>;

/** What `optimizer` emits into a training graph. */
export function updateRuleOf(optimizer: Optimizer): UpdateRule {
  switch (optimizer.name) {
    case 'adam':
      return adam(optimizer);
    case 'adamw':
      return adamw(optimizer);
    case 'lamb':
      return lamb(optimizer);
    case 'lars':
      return lars(optimizer);
    case 'rmsprop':
      return rmsprop(optimizer);
    case 'sgd':
      return sgd(optimizer);
  }
}

/** Every optimizer with its defaults. */
export const optimizers: { readonly [Name in Optimizer['name']]: Extract<Optimizer, { name: Name }> } = {
  adam: adamSettings.parse({ name: 'adam' }),
  adamw: adamwSettings.parse({ name: 'adamw' }),
  lamb: lambSettings.parse({ name: 'lamb' }),
  lars: larsSettings.parse({ name: 'lars' }),
  rmsprop: rmspropSettings.parse({ name: 'rmsprop' }),
  sgd: sgdSettings.parse({ name: 'sgd' }),
};

/** Peak learning rates for some ten epochs on a few layers. LARS and LAMB count in shares of a parameter's length. */
export const usualLearningRates: { readonly [Name in Optimizer['name']]: number } = {
  adam: 1e-3,
  adamw: 1e-3,
  lamb: 5e-3,
  lars: 0.5,
  rmsprop: 3e-4,
  sgd: 0.01,
};

/**
 * The optimizer called `name`, with `settings` in place of some defaults.
 * @throws UserError `bad-optimizer` for a name or a setting that it has not.
 */
export function optimizerCalled(
  name: string,
  settings: Readonly<Record<string, number | boolean | undefined>> = {},
): Optimizer {
  const known = Object.keys(optimizers);
  if (!known.includes(name))
    throw new UserError('bad-optimizer', `expected one of ${known.join(', ')}, got "${name}" (--optimizer)`);
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  const parsed = optimizerSchema.safeParse({ name, ...Object.fromEntries(given) });
  if (parsed.success) {
    if ('nesterov' in parsed.data && parsed.data.nesterov && parsed.data.momentum === 0)
      throw new UserError('bad-optimizer', 'expected a momentum above 0 with --nesterov, got `0` (--momentum)');
    return parsed.data;
  }
  const [issue] = parsed.error.issues;
  if (issue?.code === 'unrecognized_keys')
    throw new UserError(
      'bad-optimizer',
      `${name} has no ${flagOf(issue.keys[0])}; leave it out, or choose another --optimizer`,
    );
  const key = issue?.path.at(-1);
  throw new UserError(
    'bad-optimizer',
    `expected ${expectation(issue)}, got \`${String(settings[String(key)])}\` (${flagOf(key)})`,
  );
}

/** The command line's name of a setting: `weightDecay` is `--weight-decay`. */
const flagOf = (key: PropertyKey | undefined) =>
  `--${String(key).replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

function expectation(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code === 'too_small') return `a number ${issue.inclusive ? 'from' : 'above'} ${issue.minimum}`;
  if (issue?.code === 'too_big') return `a number below ${issue.maximum}`;
  return 'a number';
}
