import type { Meter } from '../energy/meter.js';
import type { Task } from '../artifacts/task.js';
import type { TrainOptions } from '../train/trainOptions.js';

/** What is measured, and what is to be found out. */
export interface RecommendOptions extends Omit<
  TrainOptions,
  'policy' | 'out' | 'cache' | 'resume' | 'overwrite' | 'verify' | 'tensorboard' | 'metric'
> {
  /**
   * What to choose from, each training what the one before it trains and more; default F1C0 to F1C3, as far as the model has
   * convolutions, and full. F1C0 is always among them.
   */
  readonly policies?: readonly string[];
  /** The most joules that the training may take. `timeLimitMs` and `memoryBytes` bound the rest. */
  readonly energyLimitJ?: number;
  /** Measures the short trainings; required where joules are bounded. */
  readonly meter?: Meter;
  /** Accuracy, as a share of photos, that is not worth the cost of more layers; default 0.01. */
  readonly tolerance?: number;
  /** What choosing may take, as a share of what training once by every policy would; default 0.3, a tenth of a sweep with three seeds. */
  readonly effort?: number;
}

/** What there is to know of a policy, for a training with the settings that were given. */
export interface PolicyReport {
  readonly policy: string;
  readonly trainableParameters: number | null;
  /** Top-1, or mean average precision of labels, that the whole training is predicted to give on photos like those that were held out. */
  readonly accuracy: number | null;
  /** 95 % interval. */
  readonly interval: readonly [number, number] | null;
  /** Images on which its short training took steps, as a share of the whole training's. */
  readonly trainedShare: number | null;
  /** Short trainings of that length. */
  readonly seeds: number;
  /** The whole training, reading the photos included, as predicted from timed steps. */
  readonly predictedMs: number | null;
  readonly memoryBytes: number | null;
  readonly energyJ: number | null;
  /** By how much it is expected to be below the best, as a share of photos. */
  readonly regret: number | null;
  /** Share of resamples in which it is within the tolerance of the best. */
  readonly nearBest: number | null;
  /** Why it is chosen, or not. */
  readonly verdict: string;
}

export interface Recommendation {
  /** What is told of each photo. */
  readonly task: Task;
  readonly policy: string;
  readonly reason: string;
  /** Share of resamples of the held-out photos in which it is within the tolerance of the best. */
  readonly confidence: number;
  readonly policies: readonly PolicyReport[];
  readonly epochs: number;
  readonly tolerance: number;
  /** How many of the data set's training photos short trainings took. */
  readonly trainedPhotos: number;
  /** How many others they were judged by. */
  readonly heldOutPhotos: number;
  /** Whether joules are an estimate; null where there are none. */
  readonly energyEstimated: boolean | null;
  readonly elapsedMs: number;
  /** What training by each of the policies would take. */
  readonly sweepMs: number;
  /** What the reader should know beside the numbers. */
  readonly notes: readonly string[];
}

export type RecommendEvent =
  | { readonly type: 'measured'; readonly policy: string; readonly predictedMs: number }
  | {
      readonly type: 'progress';
      readonly phase: 'measuring' | 'reading photos';
      readonly done: number;
      readonly total: number;
    }
  /** A photo that cannot be read, once. */
  | { readonly type: 'skipped'; readonly path: string; readonly reason: string }
  | {
      readonly type: 'trained';
      readonly policy: string;
      readonly photos: number;
      readonly epochs: number;
      readonly seed: number;
      /** Of the photos that are held out. */
      readonly top1?: number;
      /** The same of labels: their mean average precision. */
      readonly map?: number;
    };
