import { UserError } from '../errors.js';
import type { LearningRateMultiplier } from '../optim/learningRates.js';
import { checkObjective, type Objective } from '../optim/loss.js';
import type { Optimizer } from '../optim/optimizer.js';

/** What a training step minimizes and how it updates: all of it is compiled into the graphs. */
export interface StepOptions extends Objective {
  /** Images an update; default 32. */
  readonly batch?: number;
  /**
   * Images a run of the training graph; default the batch. A smaller one needs less memory: gradients of several runs add
   * up to the batch's, exactly.
   */
  readonly microBatch?: number;
  /** `soft` takes a float32 row of probabilities for each image in place of its label; default `labels`. */
  readonly targets?: 'labels' | 'soft';
  /** Default AdamW. */
  readonly optimizer?: Optimizer;
  /** What weight decay takes hold of: `weights` (default) spares biases and normalization, `all` spares nothing. */
  readonly decay?: 'weights' | 'all';
  /** The largest norm of all gradients together; default 0, any. */
  readonly clipNorm?: number;
  /** Keeps moving averages of the parameters, of which so much stays at a step, 0.999 for example; default 0, none. */
  readonly averageDecay?: number;
  /** Factors for the learning rate of some layers; the first that matches counts. */
  readonly learningRateMultipliers?: readonly LearningRateMultiplier[];
}

/** @throws UserError `bad-objective` or `bad-arguments` for a number out of range. */
export function checkStepOptions(options: StepOptions, classes: number): void {
  checkObjective(options, classes);
  const { batch = 32, microBatch = batch, clipNorm = 0, averageDecay = 0 } = options;
  const refuse = (expected: string, got: number, flag: string) =>
    new UserError('bad-arguments', `expected ${expected}, got \`${got}\` (--${flag})`);
  if (!(microBatch >= 1 && microBatch <= batch && Number.isSafeInteger(microBatch)))
    throw refuse(`a micro-batch from 1 to the batch, ${batch}`, microBatch, 'accumulate');
  if (!(clipNorm >= 0 && Number.isFinite(clipNorm))) throw refuse('a norm above 0', clipNorm, 'clip-norm');
  if (!(averageDecay >= 0 && averageDecay < 1))
    throw refuse('a number from 0 up to, not including, 1', averageDecay, 'ema');
}
