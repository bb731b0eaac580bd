import type { Kernels } from './kernels/kernels.js';
import { sumOfSquares, type UpdateRule } from './optimizers/updateRule.js';

/** A trainable parameter and what is kept of it: arrays of one length in the memory of the kernels. */
export interface Trained {
  readonly parameter: Float32Array;
  readonly gradient: Float32Array;
  readonly moments: readonly Float32Array[];
  /** Present where averages are kept. */
  readonly average: Float32Array | undefined;
  readonly learningRateMultiplier: number;
  readonly decays: boolean;
}

export interface UpdateOptions {
  readonly rule: UpdateRule;
  readonly learningRate: number;
  /** 1 at the first step. */
  readonly step: number;
  /** What gradients are multiplied by before all else. */
  readonly scale: number;
  /** How much of an average stays at a step, once it is warm. */
  readonly averageDecay: number;
}

/** A step's update of parameters, their moments and their averages, in place. */
export function updateAll(kernels: Kernels, trained: readonly Trained[], options: UpdateOptions): void {
  const { rule, learningRate, step, scale, averageDecay } = options;
  const share = averageShare(step, averageDecay);
  for (const { parameter, gradient, moments, average, learningRateMultiplier, decays } of trained) {
    const schedule = { learningRate: learningRate * learningRateMultiplier, step };
    rule.update(kernels, { parameter, gradient, scale, moments, decays }, schedule);
    if (average) kernels.call('average', { average, parameter }, { share });
  }
}

/**
 * What gradients, their squares adding up to `squares`, are multiplied by so that all together are no longer than `largest`:
 * min(1, largest/(‖all g‖ + 10⁻⁶)), as torch.nn.utils.clip_grad_norm_ (Pascanu et al. 2013); 1 where `largest` is 0.
 */
export function clipFactor(squares: number, largest: number): number {
  if (largest === 0) return 1;
  const total = Math.sqrt(squares);
  return Math.min(1, largest / (total + 1e-6));
}

/** The sum of squares of each gradient. */
export const squaresOf = (trained: readonly Trained[]): number[] =>
  trained.map(({ gradient }) => sumOfSquares(gradient));

/**
 * 1 − min(decay, (1 + t)/(10 + t)): what a new value counts in the moving average of step t. The average begins at the first
 * parameters, and forgets them fast (as TensorFlow's ExponentialMovingAverage), so that short trainings have one too.
 */
export const averageShare = (step: number, decay: number): number => 1 - Math.min(decay, (step + 1) / (step + 10));
