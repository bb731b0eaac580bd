import type { Tensor } from '../onnx/tensor.js';
import type { PartFeeds, PartResult } from './gradientSession.js';
import type * as ort from './ort.js';
import type { Row } from './slots.js';

/** A part of a batch: its boundary, which is handed over where another thread takes it, and what else its run takes. */
export interface StepPart extends PartFeeds {
  readonly rows: readonly Row[];
  readonly learningRate: number;
  /** Whether the state is updated after it and those beside it. */
  readonly isLast: boolean;
}

/** What takes steps, and keeps what lasts from one to the next. */
export interface StepSession {
  /** Whether parts of one run are taken one after the other, maybe those of several steps, in this thread; else side by side. */
  readonly isInTurn: boolean;
  /** How many parts of a batch it takes in a run that is to end within `limitMs`: whole batches, where they are taken in turn. */
  partsWithin(limitMs: number): number;
  /**
   * Runs parts, blocking the thread, and updates the state after those that are the last of their step. What `meanwhile` does is begun
   * before that. After a loss that is no number, parts that follow may have no result. Arrays of results may be written anew by the next run.
   */
  run(parts: readonly StepPart[], meanwhile: () => void): Promise<readonly PartResult[]>;
  /** A value of the state as another session takes it; it lasts until the next run. */
  tensorOf(name: string, shape: readonly number[]): ort.Tensor;
  /** A copy of the state. */
  readState(): Promise<ReadonlyMap<string, Float32Array<ArrayBuffer>>>;
  /** Replaces what of the state has a name of these; where parameters are held near to others, it is near to these. */
  writeState(state: ReadonlyMap<string, Tensor>): void;
  close(): Promise<void>;
}
