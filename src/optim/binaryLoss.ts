import type { Builder } from '../graph/builder.js';
import { bindShape, type Value } from '../graph/graph.js';

/** What the training graph minimizes where images have any number of labels. */
export interface BinaryObjective {
  /** ε: the target becomes (1 − ε)·target + ε/2; default 0. */
  readonly labelSmoothing?: number;
  /** What an image that has a label counts beside one that has it not, in the labels' order: PyTorch's `pos_weight`; default 1 for all. */
  readonly classWeights?: readonly number[] | undefined;
  /** γ for images with a label and without it (Lin et al. 2017); default 0. */
  readonly focalGamma?: number;
  /** `asymmetric` (Ridnik et al. 2021) in place of binary cross-entropy: what each kind of image has as γ, and by how much probabilities of absent labels shift. */
  readonly loss?: 'bce' | 'asymmetric';
  readonly gammaNegative?: number;
  readonly gammaPositive?: number;
  readonly probabilityShift?: number;
}

/** float32's distance from 1 to the number below it: a smaller probability is rounding, and its power below 1 has no slope there. */
const SMALLEST = 2 ** -24;

/**
 * Σₙ shareₙ · 1/C Σ_c [w_c · y · (1 − p)^γ⁺ · −log p + (1 − y) · pₘ^γ⁻ · −log(1 − pₘ)], a scalar, with p = σ(logit) and pₘ = max(p − m, 0), of
 * `logits` [B, C], `targets` y float32 [B, C] and `shares` float32 [B], each image's part in the mean. Without γ and m that is PyTorch's
 * `BCEWithLogitsLoss`. Logarithms are taken of logits, so that no probability becomes 0 on the way.
 */
export function binaryCrossEntropy(
  g: Builder,
  logits: Value,
  targets: Value,
  shares: Value,
  objective: BinaryObjective,
): Value {
  const { labelSmoothing = 0, classWeights, loss = 'bce', focalGamma = 0 } = objective;
  const { gammaNegative = 4, gammaPositive = 1, probabilityShift = 0.05 } = objective;
  const [positive, negative, shift] =
    loss === 'bce' ? [focalGamma, focalGamma, 0] : [gammaPositive, gammaNegative, probabilityShift];
  const [, labels = 1] = bindShape(logits.shape ?? [], 1);
  const y =
    labelSmoothing === 0 ? targets : g.add(g.mul(targets, g.scalar(1 - labelSmoothing)), g.scalar(labelSmoothing / 2));
  const ofPresent = presentTerm(g, logits, positive);
  const present = g.mul(y, classWeights ? g.mul(ofPresent, g.row('label_weights', classWeights)) : ofPresent);
  const absent = g.mul(g.sub(g.scalar(1), y), absentTerm(g, logits, negative, shift));
  const perImage = g.mul(g.reduceSum(g.add(present, absent), [1], false), g.scalar(1 / labels));
  return g.reduceSum(g.mul(perImage, shares), undefined, false);
}

/** log(1 + eˣ) */
const softplus = (g: Builder, x: Value) => g.op('Softplus', [x]);

/** (1 − p)^γ · −log p, as e^(−γ·log(1 + eˣ)) · log(1 + e⁻ˣ). */
function presentTerm(g: Builder, logits: Value, gamma: number): Value {
  const cost = softplus(g, g.neg(logits));
  if (gamma === 0) return cost;
  return g.mul(g.exp(g.mul(softplus(g, logits), g.scalar(-gamma))), cost);
}

/** pₘ^γ · −log(1 − pₘ); without a shift as e^(−γ·log(1 + e⁻ˣ)) · log(1 + eˣ). */
function absentTerm(g: Builder, logits: Value, gamma: number, shift: number): Value {
  if (shift === 0) return presentTerm(g, g.neg(logits), gamma);
  const shifted = g.op('Clip', [g.sub(g.sigmoid(logits), g.scalar(shift)), g.scalar(SMALLEST), g.scalar(1)]);
  const cost = g.neg(g.log(g.sub(g.scalar(1), shifted)));
  if (gamma === 0) return cost;
  return g.mul(gamma === 1 ? shifted : g.pow(shifted, g.scalar(gamma)), cost);
}

/**
 * The mean of −[y·log p + (1 − y)·log(1 − p)] over `logits` [photos, labels] and their `targets`, neither weighted nor smoothed, in double
 * precision.
 */
export function meanBinaryCrossEntropy(logits: Float32Array, targets: Float32Array): number {
  let sum = 0;
  logits.forEach((x, at) => {
    sum += Math.max(x, 0) - x * (targets[at] ?? 0) + Math.log1p(Math.exp(-Math.abs(x)));
  });
  return logits.length === 0 ? 0 : sum / logits.length;
}
