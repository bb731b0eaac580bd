import type { Builder } from '../graph/builder.js';
import { bindShape, type Value } from '../graph/graph.js';

/** What the training graph minimizes. */
export interface Objective {
  /** ε: the target becomes (1 − ε)·target + ε/classes (Szegedy et al. 2016); default 0. */
  readonly labelSmoothing?: number;
  /** A factor for the loss of each class, in the classes' order; default 1 for all. */
  readonly classWeights?: readonly number[] | undefined;
  /** γ: a factor (1 − p)^γ makes what is known already count less (Lin et al. 2017); default 0. */
  readonly focalGamma?: number;
}

/**
 * Softmax cross-entropy −Σₙ shareₙ · Σ_c w_c · (1 − p_c)^γ · target_c · log p_c, a scalar, of `logits` [B, classes],
 * `targets` float32 [B, classes] and `shares` float32 [B], each image's part in the mean; see {@link meanShares}.
 */
export function crossEntropy(g: Builder, logits: Value, targets: Value, shares: Value, objective: Objective): Value {
  const { labelSmoothing = 0, classWeights, focalGamma = 0 } = objective;
  const [, classes = 0] = bindShape(logits.shape ?? [], 1);
  const smoothed =
    labelSmoothing === 0
      ? targets
      : g.add(g.mul(targets, g.scalar(1 - labelSmoothing)), g.scalar(labelSmoothing / classes));
  const weighted = classWeights ? g.mul(smoothed, g.row('class_weights', classWeights)) : smoothed;
  const logProbabilities = g.logSoftmax(logits, -1);
  const terms =
    focalGamma === 0 ? logProbabilities : g.mul(logProbabilities, focus(g, g.exp(logProbabilities), focalGamma));
  const perImage = g.reduceSum(g.mul(weighted, terms), [1], false);
  return g.neg(g.reduceSum(g.mul(perImage, shares), undefined, false));
}

/** float32's distance from 1 to the number below it: a smaller 1 − p is rounding, and its power below 1 has no slope there. */
const SMALLEST_DOUBT = 2 ** -24;

/** (1 − p)^γ */
function focus(g: Builder, probabilities: Value, gamma: number): Value {
  const doubt = g.op('Clip', [g.sub(g.scalar(1), probabilities), g.scalar(SMALLEST_DOUBT), g.scalar(1)]);
  return gamma === 1 ? doubt : g.pow(doubt, g.scalar(gamma));
}

/**
 * Each image's part in a batch's mean loss, as PyTorch takes it: with labels 1/Σw, w being the class weights of the batch's
 * labels; with soft targets 1/images. `labels` holds -1 for what only fills up the batch: its share is 0, and so is all of a
 * batch whose weights are 0.
 */
export function meanShares(
  labels: ArrayLike<number>,
  classWeights: readonly number[] | undefined,
  into: Float32Array,
): void {
  let total = 0;
  for (let n = 0; n < into.length; n++) {
    const label = labels[n] ?? -1;
    if (label >= 0) total += classWeights?.[label] ?? 1;
  }
  for (let n = 0; n < into.length; n++) into[n] = (labels[n] ?? -1) < 0 || total === 0 ? 0 : 1 / total;
}
