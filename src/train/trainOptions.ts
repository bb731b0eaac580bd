import { availableParallelism } from 'node:os';
import { compileSettings, headSettings } from '../artifacts/compileSettings.js';
import { mixesPhotos, variesPhotos } from '../data/augment/augmentation.js';
import { dataSettings } from '../data/dataSettings.js';
import type { Dataset } from '../data/dataset.js';
import type { Task } from '../artifacts/task.js';
import { UserError } from '../errors.js';
import type { ModelFile } from '../onnx/model.js';
import { type Optimizer, usualLearningRate } from '../optim/optimizer.js';
import { checkStep, stepSettings, weightsOfClasses } from '../optim/stepSettings.js';
import { parsePolicy } from '../policy/policy.js';
import type { Provider } from '../runtime/providers.js';
import { flagsOf, type Given, settle, type Settled, settleFlags, type SchemaShape } from '../settings.js';
import { headlineOf, metricsOfTask } from './headline.js';
import type { MetricName } from './metrics.js';
import { loopSettings, machineSettings } from './runSettings.js';

const { task, valFraction, limit, valLimit, maxBad } = dataSettings;
const { policy, seed, size, output, resize, preprocessing, precision, boundaryDtype } = compileSettings;
const { epochs, learningRate, schedule, warmupEpochs, ...loop } = loopSettings;
const { memoryBytes, cache, ...machine } = machineSettings;

/** What a training can be told beside its model and its photos, in the order of help and of settings files. */
const trainSettings = {
  ...{ policy, epochs, learningRate, schedule, warmupEpochs },
  ...stepSettings,
  ...headSettings,
  ...loop,
  ...{ preprocessing, seed, size, output, resize, maxBad, memoryBytes, cache, precision, boundaryDtype },
  ...machine,
};
/** The same, and which photos a run takes: what the flags of `ort-tl train`, settings files and suites can set. */
export const trainFlagSettings = { ...trainSettings, task, valFraction, limit, valLimit };
export type TrainFlags = Settled<typeof trainFlagSettings>;

/** Those of them that decide what is kept of photos, and where that is computed. */
export const featureFlagSettings = {
  policy,
  ...headSettings,
  augmentation: loop.augmentation,
  views: loop.views,
  ...{ preprocessing, seed, size, output, resize, maxBad, memoryBytes, cache, precision, boundaryDtype },
  ...{ frozen: machine.frozen, calibration: machine.calibration, threads: machine.threads, provider: machine.provider },
  ...{ task, valFraction, limit, valLimit },
};

export interface TrainOptions extends Omit<Given<typeof trainSettings>, 'provider'> {
  readonly model: ModelFile;
  readonly dataset: Dataset;
  /** The run's folder; made if need be. */
  readonly out: string;
  readonly provider?: Provider;
  /** Replaces an earlier run in `out`; without it such a folder is refused. */
  readonly overwrite?: boolean;
  /**
   * Goes on with the run in `out` where it stopped, to the bits of one that was not. Options that decide what it learns must be those that it
   * was begun with. With other threads, on another machine or with other versions it goes on too, to other bits, which is told.
   */
  readonly resume?: boolean;
  /** Ends the training after the step under way; what was learned is kept, and the run can be resumed. */
  readonly signal?: AbortSignal;
}

/** What does not decide the result, and what a run that goes on has behind it. */
type Incidental =
  'init' | 'accumulate' | 'parallel' | 'memoryBytes' | 'timeLimitMs' | 'cache' | 'verify' | 'tensorboard';

/** What decides a training's result, with every default filled in; a run is resumed with equal settings only. */
export interface Settings extends Omit<
  Settled<typeof trainSettings>,
  Incidental | 'learningRate' | 'classWeights' | 'provider' | 'metric'
> {
  /** As the data set says. */
  readonly task: Task;
  readonly metric: MetricName;
  readonly learningRate: number | 'auto';
  readonly classWeights: 'equal' | 'balanced' | readonly number[];
  readonly provider: Provider;
  readonly microBatch: number;
  /** Sessions that take such parts of a batch side by side. */
  readonly sessions: number;
  /** Whether the backward pass computes activations again in place of keeping them. */
  readonly recompute: boolean;
}

/**
 * Reads settings by the names of their flags, as a settings file or a suite gives them.
 * @throws UserError for a value that is wrong, and for settings that do not go together.
 */
export function readTrainFlags(flags: Readonly<Record<string, unknown>>): TrainFlags {
  const settled = settleFlags(trainFlagSettings, flags);
  checkTogether(settled);
  return settled;
}

function checkTogether(settled: Settled<typeof trainSettings>): void {
  checkStep(settled);
  const { augmentation, views, warmupEpochs, epochs, memoryBytes, accumulate } = settled;
  if (memoryBytes !== undefined && accumulate > 1)
    throw new UserError('bad-arguments', 'expected ‹memoryBytes› or ‹accumulate›, not both');
  if (views > 0 && !variesPhotos(augmentation) && !mixesPhotos(augmentation))
    throw new UserError(
      'bad-arguments',
      `expected an augmentation, such as ‹flip› 0.5, that makes views differ beside \`${views}\` (‹views›)`,
    );
  if (warmupEpochs > epochs)
    throw new UserError(
      'bad-arguments',
      `expected a part of the ${epochs} epochs, 0 or more, got \`${warmupEpochs}\` (‹warmupEpochs›)`,
    );
}

/** @throws UserError for a setting that is wrong, and for settings that do not go together. */
export function settingsOf(options: Omit<TrainOptions, 'out'>): Settings {
  const { task: own = 'classes', classes, train } = options.dataset;
  const settled = settle(trainSettings, options);
  checkTogether(settled);
  const { init, accumulate, parallel, memoryBytes, timeLimitMs, cache, verify, tensorboard, ...rest } = settled;
  const { classWeights: weights, optimizer, threads } = rest;
  // A batch that the photos cannot fill would be nothing but padding.
  const batch = Math.min(rest.batch, train.length);
  return {
    ...rest,
    task: own,
    metric: metricFor(own, rest.metric),
    batch,
    microBatch: Math.min(Math.ceil(rest.batch / accumulate), batch),
    sessions: 1,
    recompute: false,
    learningRate: rest.learningRate ?? defaultLearningRate(optimizer, rest.policy),
    classWeights: weights === 'balanced' ? weights : (weightsOfClasses(weights, classes) ?? 'equal'),
    threads: threads > 0 ? threads : availableParallelism(),
    provider: options.provider ?? 'cpu',
  };
}

/** The metric that is asked for, or that of the task. @throws UserError `bad-arguments` for one that the task does not have. */
function metricFor(task: Task, asked: MetricName | undefined): MetricName {
  const known = metricsOfTask(task);
  if (asked === undefined || known.includes(asked)) return asked ?? headlineOf(task).metric;
  throw new UserError(
    'bad-arguments',
    `expected one of ${known.join(', ')} of photos with ${task === 'labels' ? 'several labels' : 'one class'} each, got \`${asked}\` (‹metric›)`,
  );
}

/**
 * Peak learning rates for some ten epochs. A fresh head alone takes large steps (on six classes of photos with EfficientNet-B0, 5e-3
 * to 1e-2 gave the best top-1 for AdamW); training every layer disturbs more, so it goes slower.
 */
export function defaultLearningRate(optimizer: Optimizer, policy: string): number {
  const base = usualLearningRate(optimizer.name);
  const parsed = parsePolicy(policy);
  if (parsed.kind === 'full') return base / 4;
  return parsed.kind === 'last' && parsed.convs === 0 ? 5 * base : base;
}

const schemas: SchemaShape = trainSettings;
/** What a setting of an earlier run is today: its default where that run did not have it yet, a policy in its one spelling. */
export const settingToday = (key: string, value: unknown): unknown => schemas[key]?.safeParse(value).data ?? value;

/** The flags of what a run that is resumed may have otherwise. */
export const incidentalFlags: readonly string[] = flagsOf(trainFlagSettings).flatMap(({ flag, isIncidental }) =>
  isIncidental ? [flag] : [],
);
