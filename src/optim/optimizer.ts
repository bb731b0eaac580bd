import { z } from 'zod';
import { UserError } from '../errors.js';
import { keysOf } from '../settings.js';
import { adam } from './optimizers/adam.js';
import { adamw } from './optimizers/adamw.js';
import { lamb } from './optimizers/lamb.js';
import { lars } from './optimizers/lars.js';
import { rmsprop } from './optimizers/rmsprop.js';
import type { UpdateRule } from './optimizers/updateRule.js';
import { sgd } from './optimizers/sgd.js';

/** Every optimizer there is, by its name. */
const KINDS = { adam, adamw, lamb, lars, rmsprop, sgd };

export type OptimizerName = keyof typeof KINDS;
/** An optimizer's name and settings. */
export type Optimizer = z.output<(typeof KINDS)[OptimizerName]['settings']>;
export const optimizerNames = keysOf(KINDS);

const { adamw: usual, ...others } = KINDS;
/** Settings of an optimizer; one that is left out gets PyTorch's default, or what is usual with photos. */
export const optimizerSchema = z.discriminatedUnion(
  'name',
  [usual.settings, ...Object.values(others).map(({ settings }) => settings)],
  `an optimizer such as { name: 'adamw' }, with one of the names ${optimizerNames.join(', ')}`,
);

/** What `optimizer` appends to a training graph. */
export function updateRuleOf(optimizer: Optimizer): UpdateRule {
  return KINDS[optimizer.name].ruleFor(optimizer);
}

/** Every optimizer with its defaults. */
export const optimizers: { readonly [Name in OptimizerName]: Extract<Optimizer, { name: Name }> } = {
  adam: adam.settings.parse({ name: 'adam' }),
  adamw: adamw.settings.parse({ name: 'adamw' }),
  lamb: lamb.settings.parse({ name: 'lamb' }),
  lars: lars.settings.parse({ name: 'lars' }),
  rmsprop: rmsprop.settings.parse({ name: 'rmsprop' }),
  sgd: sgd.settings.parse({ name: 'sgd' }),
};

/** A peak learning rate for some ten epochs on a few layers. LARS and LAMB count in shares of a parameter's length. */
export const usualLearningRate = (name: OptimizerName): number => KINDS[name].usualLearningRate;

/** Which optimizers have a setting, and its default in each: `0.9 for lars and sgd, 0 for rmsprop`. */
export function defaultsOf(key: string): string {
  const names = new Map<string, string[]>();
  for (const settings of Object.values(optimizers)) {
    const value = new Map<string, string | number | boolean>(Object.entries(settings)).get(key);
    if (value !== undefined) names.set(String(value), [...(names.get(String(value)) ?? []), settings.name]);
  }
  return [...names].map(([value, having]) => `${value} for ${inWords(having)}`).join(', ');
}

const inWords = (names: readonly string[]) =>
  names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1) ?? ''}`;

/**
 * The optimizer called `name`, with `settings` in place of some defaults.
 * @throws UserError `bad-optimizer` for a name or a setting that it has not.
 */
export function optimizerCalled(
  name: string,
  settings: Readonly<Record<string, number | boolean | undefined>> = {},
): Optimizer {
  const called = optimizerNames.find((each) => each === name);
  if (!called)
    throw new UserError('bad-optimizer', `expected one of ${optimizerNames.join(', ')}, got "${name}" (‹optimizer›)`);
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  const parsed = KINDS[called].settings.safeParse({ name, ...Object.fromEntries(given) });
  if (parsed.success) {
    if ('nesterov' in parsed.data && parsed.data.nesterov && parsed.data.momentum === 0)
      throw new UserError('bad-optimizer', 'expected a momentum above 0 with ‹nesterov›, got `0` (‹momentum›)');
    return parsed.data;
  }
  const [issue] = parsed.error.issues;
  if (issue?.code === 'unrecognized_keys')
    throw new UserError(
      'bad-optimizer',
      `${name} has no ‹${issue.keys[0] ?? ''}›; leave it out, or choose another ‹optimizer›`,
    );
  const key = String(issue?.path.at(-1));
  throw new UserError(
    'bad-optimizer',
    `expected ${issue?.message ?? 'another value'}, got \`${String(settings[key])}\` (‹${key}›)`,
  );
}
