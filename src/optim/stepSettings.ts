import { z } from 'zod';
import { UserError } from '../errors.js';
import {
  choice,
  joined,
  numberAbove,
  numberBelow,
  numberFrom,
  setting,
  settings,
  type Settled,
  wholeNumber,
} from '../settings.js';
import { parseMultipliers } from './learningRates.js';
import { defaultsOf, optimizerCalled, optimizerNames, optimizers, optimizerSchema } from './optimizer.js';

/** What classes weigh in the loss: all the same, by how many photos they have, or each what is said; `{ cat: 2 }` leaves the others at 1. */
export type ClassWeights = 'equal' | 'balanced' | readonly number[] | Readonly<Record<string, number>>;

const group = 'Step';
const ofOptimizer = (what: string, key: string) => ({ group, help: `${what} (default ${defaultsOf(key)})` });

/** An optimizer and its settings, as flags. */
const optimizerParts = {
  optimizer: setting(choice(optimizerNames).default('adamw'), { group, help: 'how parameters are updated' }),
  momentum: setting(
    z.number('a number').optional(),
    ofOptimizer('how much of an update goes on in the next', 'momentum'),
  ),
  nesterov: setting(z.boolean('true or false').optional(), { group, help: "Nesterov's momentum, of lars and sgd" }),
  beta1: setting(z.number('a number').optional(), ofOptimizer('how much of the mean gradient stays', 'beta1')),
  beta2: setting(z.number('a number').optional(), ofOptimizer('how much of the mean square stays', 'beta2')),
  weightDecay: setting(z.number('a number').optional(), ofOptimizer('how fast weights shrink', 'weightDecay')),
};

/** What a training step minimizes, and how it updates. */
export const stepSettings = settings({
  batch: setting(wholeNumber(1).default(32), { group, help: 'images a step' }),
  accumulate: setting(wholeNumber(1).default(1), {
    group,
    help: 'run a step in so many parts: the same result in less memory',
  }),
  optimizer: joined(optimizerSchema.default(optimizers.adamw), optimizerParts, ({ optimizer, ...rest }) =>
    optimizerCalled(optimizer, rest),
  ),
  decayAll: setting(z.boolean('true or false').default(false), {
    group,
    help: 'decay biases and normalization parameters too',
  }),
  clipNorm: setting(numberFrom(0).default(0), {
    group,
    help: 'largest norm of all gradients together, 0 for any; 1 is usual',
  }),
  averageDecay: setting(numberBelow(0, 1).default(0), {
    group,
    flag: 'ema',
    help: 'evaluate and keep moving averages of the parameters, of which so much stays at a step; 0.999 is usual',
  }),
  learningRateMultipliers: setting(
    z
      .array(z.strictObject({ glob: z.string(), multiplier: numberAbove(0) }), 'names and factors, such as head=10')
      .readonly()
      .default([]),
    {
      group,
      flag: 'lr-mult',
      read: parseMultipliers,
      help: "factors for the learning rate by layer or parameter: head=10,'features.?.*'=0.1; the first that matches counts",
    },
  ),
  labelSmoothing: setting(numberBelow(0, 1).default(0), {
    group: 'Loss',
    code: 'bad-objective',
    help: 'softens the targets; 0.1 is usual',
  }),
  classWeights: setting(
    z
      .union(
        [
          z.enum(['equal', 'balanced']),
          z.array(numberFrom(0)).readonly(),
          z.record(z.string(), numberFrom(0)).readonly(),
        ],
        'equal, balanced, or classes with what they weigh',
      )
      .default('equal'),
    {
      group: 'Loss',
      code: 'bad-objective',
      read: parseClassWeights,
      help: 'what classes weigh: equal, balanced (all alike, however many photos they have), or cat=2,dog=0.5; of ‹task› labels, what photos with a label weigh beside those without it',
    },
  ),
  focalGamma: setting(numberFrom(0).default(0), {
    group: 'Loss',
    code: 'bad-objective',
    help: 'focal loss: what is known counts less; 2 is usual',
  }),
  loss: setting(choice(['bce', 'asymmetric']).default('bce'), {
    group: 'Loss',
    code: 'bad-objective',
    help: 'of ‹task› labels: binary cross-entropy, or the asymmetric loss (Ridnik et al. 2021), by which easy absent labels count less',
  }),
  gammaNegative: setting(numberFrom(0).default(4), {
    group: 'Loss',
    code: 'bad-objective',
    help: 'of ‹loss› asymmetric: how much less easy absent labels count',
  }),
  gammaPositive: setting(numberFrom(0).default(1), {
    group: 'Loss',
    code: 'bad-objective',
    help: 'of ‹loss› asymmetric: how much less easy present labels count',
  }),
  probabilityShift: setting(numberBelow(0, 1).default(0.05), {
    group: 'Loss',
    code: 'bad-objective',
    flag: 'clip',
    help: 'of ‹loss› asymmetric: up to which probability absent labels count for nothing',
  }),
});
export type StepSettings = Settled<typeof stepSettings>;

/** @throws UserError for settings that do not go together. */
export function checkStep({ batch, accumulate }: Pick<StepSettings, 'batch' | 'accumulate'>): void {
  if (accumulate > batch)
    throw new UserError(
      'bad-arguments',
      `expected no more parts than ‹batch› ${batch}, got \`${accumulate}\` (‹accumulate›)`,
    );
}

/** Reads `equal`, `balanced`, or `cat=2,dog=0.5` where the others weigh 1. */
function parseClassWeights(source: string): ClassWeights {
  if (source === 'equal' || source === 'balanced') return source;
  return Object.fromEntries(
    source.split(',').map((part) => {
      const at = part.lastIndexOf('=');
      const weight = Number(part.slice(at + 1));
      if (at < 1 || !(weight >= 0 && Number.isFinite(weight)) || part.slice(at + 1).trim() === '')
        throw expectedWeights(part);
      return [part.slice(0, at).trim(), weight];
    }),
  );
}

const expectedWeights = (got: string, example = 'cat') =>
  new UserError(
    'bad-arguments',
    `expected equal, balanced, or classes with what they weigh, such as ${example}=2, got \`${got}\` (‹classWeights›)`,
  );

/**
 * A weight for each of `classes`, in their order; undefined where all weigh the same.
 * @throws UserError `bad-arguments` for a class that is none, `bad-objective` for weights that are too many or too few.
 */
export function weightsOfClasses(
  weights: Exclude<ClassWeights, 'balanced'>,
  classes: readonly string[],
): readonly number[] | undefined {
  if (weights === 'equal') return undefined;
  if (isList(weights)) {
    if (weights.length === classes.length) return weights;
    throw new UserError(
      'bad-objective',
      `expected a weight for each of ${classes.length} classes, got \`${weights.length}\` (‹classWeights›)`,
    );
  }
  const unknown = Object.entries(weights).find(([name]) => !classes.includes(name));
  if (unknown) throw expectedWeights(unknown.join('='), classes[0]);
  const all = classes.map((name) => weights[name] ?? 1);
  if (all.every((weight) => weight === 0))
    throw new UserError('bad-arguments', 'expected a class that weighs more than 0 (‹classWeights›)');
  return all;
}

const isList = (weights: ClassWeights): weights is readonly number[] => Array.isArray(weights);
