import { availableParallelism } from 'node:os';
import type { CompileOptions } from '../artifacts/compile.js';
import type { Preprocessing } from '../artifacts/manifest.js';
import type { StepOptions } from '../artifacts/stepOptions.js';
import { type Augmentation, parseAugmentation } from '../data/augment/augmentation.js';
import type { Dataset } from '../data/dataset.js';
import type { Preset } from '../artifacts/preprocessing.js';
import type { ModelFile } from '../onnx/model.js';
import { type Optimizer, optimizers, usualLearningRates } from '../optim/optimizer.js';
import type { ScheduleName } from '../optim/schedule.js';
import { parsePolicy } from '../policy/policy.js';
import type { CalibrationMethod } from '../quantize/calibration.js';
import type { Provider } from '../runtime/providers.js';
import type { MetricName } from './metrics.js';

export type ClassWeights = 'equal' | 'balanced' | readonly number[];

export interface TrainOptions extends Omit<StepOptions, 'classWeights' | 'targets'> {
  readonly model: ModelFile;
  readonly dataset: Dataset;
  readonly policy: string;
  /** The run's folder; made if need be. */
  readonly out: string;
  /** Default 10. */
  readonly epochs?: number;
  /** Peak learning rate; the default follows optimizer and policy; `auto` looks for it with a range test. */
  readonly learningRate?: number | 'auto';
  /** Default `cosine`. */
  readonly schedule?: ScheduleName;
  /** Epochs, or a part of one, through which the learning rate rises; default 0.5. */
  readonly warmupEpochs?: number;
  /** What each class weighs in the loss; `balanced` goes by its number of training photos; default `equal`. */
  readonly classWeights?: ClassWeights;
  /** Whether an epoch takes each photo once, or draws classes evenly; default `shuffled`. */
  readonly sampling?: 'shuffled' | 'balanced';
  readonly augmentation?: Partial<Augmentation>;
  /** Augmented views of each photo that are made once and taken in turn; 0 (default) makes a new one for every epoch. */
  readonly views?: number;
  /** By which the best checkpoint is chosen; default `top1`. */
  readonly metric?: MetricName;
  /** Ends the training when the metric has not improved for so many epochs; default never. */
  readonly patience?: number;
  /**
   * Ends the training after the step during which so many milliseconds of this call have passed; the photos are read to the end first, and
   * one step is taken at least.
   */
  readonly timeLimitMs?: number;
  readonly seed?: number;
  /** Side of the images in pixels, where the model leaves it open. */
  readonly size?: number;
  readonly resize?: Preprocessing['resize'];
  readonly hidden?: CompileOptions['hidden'];
  readonly dropout?: CompileOptions['dropout'];
  readonly batchNorm?: CompileOptions['batchNorm'];
  /** How pixels are normalised; the default is what the model's metadata says, else torchvision. */
  readonly preprocessing?: Preset;
  /** Threads of ONNX Runtime; 0 (default) takes one for each core. */
  readonly threads?: number;
  /** Default `cpu`. */
  readonly provider?: Provider;
  /** How what the frozen part gives is kept; see {@link CompileOptions.boundaryDtype}. */
  readonly boundaryDtype?: CompileOptions['boundaryDtype'];
  /**
   * In which numbers the frozen part runs; default `float32`. In `int8` its ranges are found by `calibration`, and the exported
   * model has it so too, with a model in float32 beside it.
   */
  readonly frozen?: 'float32' | 'int8';
  /** How ranges of activations are found, and of how many training photos; default `min-max` of 128. */
  readonly calibration?: { readonly method?: CalibrationMethod; readonly photos?: number };
  /**
   * Folder for what the frozen part gives of each photo, for other runs and policies, and so that it need not be in memory;
   * default none. It is of no use where every epoch makes new views.
   */
  readonly cache?: string;
  /** Share of unreadable photos that stops the run; default 0.05. */
  readonly maxBad?: number;
  /** How many validation photos, spread evenly, the exported model is run on again; default 256. */
  readonly verify?: number;
  /** Also writes an event file for TensorBoard. */
  readonly tensorboard?: boolean;
  /** Replaces an earlier run in `out`; without it such a folder is refused. */
  readonly overwrite?: boolean;
  /**
   * The most memory that the process may take, in bytes: where a whole batch would take more, activations are computed again
   * for the backward pass, and gradients are added up in parts. Default: whatever it takes. `microBatch` goes first.
   */
  readonly memoryBytes?: number;
  /**
   * Goes on with the run in `out` where it stopped, to the bits of one that was not. Options that decide what it learns must be those that it
   * was begun with. With other threads, on another machine or with other versions it goes on too, to other bits, which is told.
   */
  readonly resume?: boolean;
  /** Ends the training after the step under way; what was learned is kept, and the run can be resumed. */
  readonly signal?: AbortSignal;
}

/** What decides a training's result, with every default filled in; a run is resumed with equal settings only. */
export interface Settings extends Required<Omit<StepOptions, 'classWeights' | 'targets'>> {
  readonly policy: string;
  readonly epochs: number;
  readonly learningRate: number | 'auto';
  readonly schedule: ScheduleName;
  readonly warmupEpochs: number;
  readonly classWeights: ClassWeights;
  readonly sampling: 'shuffled' | 'balanced';
  readonly augmentation: Augmentation;
  readonly views: number;
  readonly metric: MetricName;
  readonly patience: number | null;
  readonly seed: number;
  readonly resize: Preprocessing['resize'];
  readonly hidden: readonly number[];
  readonly dropout: number;
  readonly batchNorm: 'frozen' | 'batch';
  /** Whether the backward pass computes activations again in place of keeping them. */
  readonly recompute: boolean;
  readonly preprocessing: Preset | null;
  readonly boundaryDtype: 'float32' | 'float16';
  readonly frozen: 'float32' | 'int8';
  readonly calibration: { readonly method: CalibrationMethod; readonly photos: number };
  readonly threads: number;
  readonly provider: Provider;
  readonly maxBad: number;
}

/** @throws UserError `bad-policy`, `bad-augmentation`. */
export function settingsOf(options: TrainOptions): Settings {
  const { optimizer = optimizers.adamw, threads = 0, calibration = {} } = options;
  // A batch that the photos cannot fill would be nothing but padding.
  const batch = Math.min(options.batch ?? 32, options.dataset.train.length);
  return {
    policy: options.policy,
    epochs: options.epochs ?? 10,
    batch,
    microBatch: Math.min(options.microBatch ?? batch, batch),
    optimizer,
    decay: options.decay ?? 'weights',
    clipNorm: options.clipNorm ?? 0,
    averageDecay: options.averageDecay ?? 0,
    learningRateMultipliers: options.learningRateMultipliers ?? [],
    learningRate: options.learningRate ?? defaultLearningRate(optimizer, options.policy),
    schedule: options.schedule ?? 'cosine',
    warmupEpochs: options.warmupEpochs ?? 0.5,
    labelSmoothing: options.labelSmoothing ?? 0,
    focalGamma: options.focalGamma ?? 0,
    classWeights: options.classWeights ?? 'equal',
    sampling: options.sampling ?? 'shuffled',
    augmentation: parseAugmentation(options.augmentation ?? {}),
    views: options.views ?? 0,
    metric: options.metric ?? 'top1',
    patience: options.patience ?? null,
    seed: options.seed ?? 0,
    resize: options.resize ?? 'crop',
    hidden: options.hidden ?? [],
    dropout: options.dropout ?? 0,
    batchNorm: options.batchNorm ?? 'frozen',
    recompute: false,
    preprocessing: options.preprocessing ?? null,
    boundaryDtype: options.boundaryDtype ?? 'float32',
    frozen: options.frozen ?? 'float32',
    calibration: { method: calibration.method ?? 'min-max', photos: calibration.photos ?? 128 },
    threads: threads > 0 ? threads : availableParallelism(),
    provider: options.provider ?? 'cpu',
    maxBad: options.maxBad ?? 0.05,
  };
}

/**
 * Peak learning rates for some ten epochs. A fresh head alone takes large steps (on six classes of photos with EfficientNet-B0, 5e-3
 * to 1e-2 gave the best top-1 for AdamW); training every layer disturbs more, so it goes slower.
 */
export function defaultLearningRate(optimizer: Optimizer, policy: string): number {
  const base = usualLearningRates[optimizer.name];
  const parsed = parsePolicy(policy);
  if (parsed.kind === 'full') return base / 4;
  return parsed.kind === 'last' && parsed.convs === 0 ? 5 * base : base;
}
