import type { Manifest } from '../artifacts/manifest.js';
import type { Agreement } from './agreement.js';
import type { DuplicateCounts } from '../data/duplicates.js';
import type { LeftOut } from '../data/leftOut.js';
import type { Task } from '../artifacts/task.js';
import type { LabelMetrics } from './labelMetrics.js';
import type { Metrics } from './metrics.js';
import type { Move, PlaceChange } from './trainingPlace.js';

/** One line of `results.csv`; some columns are of photos with one class, some of photos with several labels. */
export interface EpochResult {
  readonly epoch: number;
  /** Learning rate of the epoch's first step. */
  readonly learningRate: number;
  readonly trainLoss: number;
  readonly trainTop1?: number | undefined;
  readonly valLoss: number;
  /** Share of validation photos whose class is right, 0 to 1. */
  readonly top1?: number | undefined;
  readonly top5?: number | undefined;
  /** Of labels: the mean average precision, 0 to 1. */
  readonly map?: number | undefined;
  readonly macroF1: number;
  readonly microF1?: number | undefined;
  readonly balancedAccuracy?: number | undefined;
  /** Time of this epoch; that of the first includes reading the photos and running the frozen part. */
  readonly elapsedMs: number;
  readonly imagesPerSecond: number;
}

/** The columns of `results.csv`, of which a run has those that its epochs have. */
export const resultColumns = [
  'epoch',
  'learningRate',
  'trainLoss',
  'trainTop1',
  'valLoss',
  'top1',
  'top5',
  'map',
  'macroF1',
  'microF1',
  'balancedAccuracy',
  'elapsedMs',
  'imagesPerSecond',
] as const satisfies readonly (keyof EpochResult)[];

/** Why a training ended before its last epoch. */
export type EndedBy = 'epochs' | 'patience' | 'time-limit' | 'interrupt';

/** What the end of a run consists of, beside its model and its summary. */
export type FinalPart = 'evaluation' | 'report' | 'verification';
/** What became of everything that the data set holds: `found` is the sum of the others. */
export interface PhotoAccount {
  /** Files at any depth; of a list its lines. */
  readonly found: number;
  /** Photos that were read, and train. */
  readonly train: number;
  readonly validate: number;
  /** Kept for testing, by the data set. */
  readonly test: number;
  /** Could not be read. */
  readonly skipped: number;
  /** Why, or of what type → how many. */
  readonly leftOut: LeftOut;
}

/** Metrics without what they tell of each class or label. */
export type SummedMetrics = Omit<Metrics, 'confusion' | 'classes'> | Omit<LabelMetrics, 'classes'>;

/** `summary.json`. */
export interface Summary {
  /** What is told of each photo: one of the classes, or any number of labels. */
  readonly task: Task;
  readonly policy: string;
  /** What the manifest notes. */
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
  readonly seed: number;
  /** Epochs that were finished. */
  readonly epochs: number;
  readonly endedBy: EndedBy;
  /** Where the time was up within the first epoch: how much of it the model has learned. No epoch is finished then. */
  readonly part?: { readonly epoch: number; readonly steps: number; readonly of: number };
  /** Top-1 of the best epoch by `metric`, which the exported model has; absent with labels. */
  readonly top1?: number;
  /** The same of labels: the mean average precision, and the interval of 95 % of it over resampled validation photos. */
  readonly map?: number;
  readonly mapInterval?: readonly [number, number];
  /** Of labels: from which probability on a photo has each, in their order. */
  readonly thresholds?: readonly number[];
  readonly bestEpoch: number;
  readonly metric: string;
  readonly metrics: SummedMetrics;
  /** By class, in the order of `classes`; empty where the evaluation was left out. */
  readonly perClass: Metrics['classes'] | LabelMetrics['classes'];
  /** Time of all the run's parts. */
  readonly elapsedMs: number;
  readonly peakRssBytes: number;
  /** The most that it was to take, where that was told. */
  readonly memoryLimitBytes?: number;
  /** Path of the tuned model. */
  readonly model: string;
  readonly classes: readonly string[];
  readonly trainPhotos: number;
  readonly valPhotos: number;
  readonly photos: PhotoAccount;
  readonly duplicates: DuplicateCounts;
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
  readonly batch: number;
  readonly learningRate: number;
  readonly optimizer: string;
  readonly threads: number;
  readonly provider: string;
  readonly cost: Manifest['cost'];
  /** The exported model in a plain session against the evaluation that chose it, which it agrees with where `ok` is true. */
  readonly verified: Agreement;
  /**
   * What a frozen part in whole numbers costs, which the exported model has too: what the same parameters give on the photos that were
   * verified with the frozen part in float, whose model lies beside. Absent where the frozen part ran in float.
   */
  readonly frozen?: {
    readonly precision: 'int8';
    readonly calibration: { readonly method: string; readonly photos: number };
    readonly photos: number;
    /** Path of the model in float. */
    readonly model: string;
    /** Photos that it gives the same class. */
    readonly agreeing: number;
    /** Absent with labels. */
    readonly top1?: { readonly int8: number; readonly float32: number };
    /** Their mean average precisions. */
    readonly map?: { readonly int8: number; readonly float32: number };
  };
  /** Where it went on elsewhere: with other threads, say. Where it never did, it has the bits of a run that was not stopped. */
  readonly moves: readonly Move[];
  /** What was left out since it was stopped; resuming makes up for it. */
  readonly leftOut: readonly FinalPart[];
  /** Whether it was stopped, and can be resumed. */
  readonly stopped: boolean;
}

export type TrainEvent =
  | {
      readonly type: 'compiled';
      readonly manifest: Manifest;
      readonly threads: number;
      readonly provider: string;
      readonly elapsedMs: number;
    }
  | {
      /** Where the features of photos are kept, before any is added. */
      readonly type: 'cache';
      readonly folder: string;
      /** Photos, or views of them, that it has, of whatever data set. */
      readonly rows: number;
      /** Photos, and views of them, that this run needs. */
      readonly slots: number;
      readonly rowBytes: number;
      /** What has to be added at least, if `rows` are of the same photos. */
      readonly neededBytes: number;
      readonly freeBytes: number;
    }
  /** Before the first photo is read. */
  | { readonly type: 'reading' }
  | {
      readonly type: 'resumed';
      readonly epoch: number;
      readonly step: number;
      /** What is another here than where it ran last: it may end in other bits. */
      readonly changes: readonly PlaceChange[];
    }
  /** The run that was to go on has ended by itself: nothing is done. */
  | { readonly type: 'finished' }
  | {
      /** When all were read. */
      readonly type: 'photos';
      readonly photos: PhotoAccount;
      readonly duplicates: DuplicateCounts;
      /** A line each about what the data set left out, or may have been meant otherwise. */
      readonly notes: readonly string[];
      /** A line each about photos that are the same. */
      readonly warnings: readonly string[];
    }
  /** The features of so many photos, or views of them, were removed from the cache while they were in use: they are computed again. */
  | { readonly type: 'features-removed'; readonly count: number }
  | { readonly type: 'skipped'; readonly path: string; readonly reason: string }
  | { readonly type: 'learning-rate'; readonly learningRate: number; readonly figure: string }
  | {
      readonly type: 'progress';
      readonly phase:
        'calibrating' | 'reading photos' | 'looking for a learning rate' | 'training' | 'evaluating' | 'verifying';
      readonly epoch: number;
      readonly done: number;
      readonly total: number;
    }
  | { readonly type: 'epoch'; readonly result: EpochResult; readonly epochs: number; readonly best: boolean }
  | { readonly type: 'done'; readonly summary: Summary };
