import { optimizerCalled, optimizers, parseMultipliers, type StepOptions, UserError } from '../index.js';
import { number, wholeNumber } from './options.js';

export interface StepArguments {
  batch: number;
  accumulate: number;
  optimizer: string;
  momentum: number | undefined;
  nesterov: boolean | undefined;
  beta1: number | undefined;
  beta2: number | undefined;
  'weight-decay': number | undefined;
  'decay-all': boolean;
  'clip-norm': number | undefined;
  ema: number | undefined;
  'lr-mult': string | undefined;
  'label-smoothing': number;
  'class-weights': string;
  'focal-gamma': number;
}

const ofStep = { requiresArg: true, group: 'Step:' } as const;
const ofLoss = { requiresArg: true, group: 'Loss:' } as const;

/** Flags for what a training step minimizes and how it updates. */
export const stepFlags = {
  batch: { ...ofStep, type: 'number', default: 32, describe: 'images a step' },
  accumulate: {
    ...ofStep,
    type: 'number',
    default: 1,
    describe: 'run a step in so many parts: the same result in less memory',
  },
  optimizer: {
    ...ofStep,
    type: 'string',
    choices: Object.keys(optimizers),
    default: 'adamw',
    describe: 'how parameters are updated',
  },
  momentum: { ...ofStep, type: 'number', describe: 'of sgd, lars (default 0.9) and rmsprop (0)' },
  nesterov: { type: 'boolean', group: 'Step:', describe: "Nesterov's momentum, of sgd and lars" },
  beta1: { ...ofStep, type: 'number', describe: 'of adam, adamw and lamb (default 0.9)' },
  beta2: { ...ofStep, type: 'number', describe: 'of adam, adamw and lamb (default 0.999)' },
  'weight-decay': {
    ...ofStep,
    type: 'number',
    describe: 'default 0.01 for adamw and lamb, 1e-4 for sgd and lars, 0 for the others',
  },
  'decay-all': {
    type: 'boolean',
    group: 'Step:',
    default: false,
    describe: 'decay biases and normalization parameters too',
  },
  'clip-norm': { ...ofStep, type: 'number', describe: 'largest norm of all gradients together; 1 is usual' },
  ema: {
    ...ofStep,
    type: 'number',
    describe: 'evaluate and keep moving averages of the parameters; 0.999 is usual',
  },
  'lr-mult': {
    ...ofStep,
    type: 'string',
    describe: "factors for the learning rate by layer or parameter: head=10,'features.?.*'=0.1",
  },
  'label-smoothing': { ...ofLoss, type: 'number', default: 0, describe: 'softens the targets; 0.1 is usual' },
  'class-weights': {
    ...ofLoss,
    type: 'string',
    default: 'equal',
    describe: 'what classes weigh: equal, balanced (all alike, however many photos they have), or cat=2,dog=0.5',
  },
  'focal-gamma': {
    ...ofLoss,
    type: 'number',
    default: 0,
    describe: 'focal loss: what is known counts less; 2 is usual',
  },
} as const;

/** Reads all of {@link stepFlags} but the class weights. @throws UserError for what makes no sense. */
export function stepOptionsOf(args: StepArguments): Omit<StepOptions, 'classWeights' | 'targets'> {
  const batch = wholeNumber('batch', args.batch, 1);
  const parts = wholeNumber('accumulate', args.accumulate, 1);
  if (parts > batch)
    throw new UserError(
      'bad-arguments',
      `expected no more parts than --batch ${batch}, got \`${parts}\` (--accumulate)`,
    );
  const settings = {
    momentum: args.momentum,
    nesterov: args.nesterov,
    beta1: args.beta1,
    beta2: args.beta2,
    weightDecay: args['weight-decay'],
  };
  const clipNorm = args['clip-norm'];
  return {
    batch,
    ...(parts > 1 ? { microBatch: Math.ceil(batch / parts) } : {}),
    optimizer: optimizerCalled(args.optimizer, settings),
    decay: args['decay-all'] ? 'all' : 'weights',
    clipNorm: clipNorm === undefined ? 0 : number('clip-norm', clipNorm, 'a norm above 0', (value) => value > 0),
    averageDecay: args.ema ?? 0,
    learningRateMultipliers: args['lr-mult'] === undefined ? [] : parseMultipliers(args['lr-mult']),
    labelSmoothing: args['label-smoothing'],
    focalGamma: args['focal-gamma'],
  };
}

/** Reads `equal`, `balanced`, or `cat=2,dog=0.5` where the others weigh 1. @throws UserError `bad-arguments` for a class that is none. */
export function classWeightsOf(source: string, classes: readonly string[]): 'equal' | 'balanced' | number[] {
  if (source === 'equal' || source === 'balanced') return source;
  const weights = new Array<number>(classes.length).fill(1);
  for (const part of source.split(',')) {
    const at = part.lastIndexOf('=');
    const index = classes.indexOf(part.slice(0, at).trim());
    const weight = Number(part.slice(at + 1));
    if (at < 1 || index < 0 || !(weight >= 0 && Number.isFinite(weight) && part.slice(at + 1).trim() !== ''))
      throw new UserError(
        'bad-arguments',
        `expected equal, balanced, or classes with what they weigh, such as ${classes[0] ?? 'cat'}=2, got \`${part}\` (--class-weights)`,
      );
    weights[index] = weight;
  }
  if (weights.every((weight) => weight === 0))
    throw new UserError(
      'bad-arguments',
      `expected a class that weighs more than 0, got \`${source}\` (--class-weights)`,
    );
  return weights;
}
