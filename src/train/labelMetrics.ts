import { USUAL_THRESHOLD } from '../artifacts/task.js';
import { meanBinaryCrossEntropy } from '../optim/binaryLoss.js';
import { averagePrecision, byScore } from './averagePrecision.js';

/** How well a label is found, each a share from 0 to 1; 0 where a share has nothing to count. */
export interface LabelScore {
  /** Photos that have this label. */
  readonly photos: number;
  /** As scikit-learn's `average_precision_score`; null where no photo has the label. */
  readonly averagePrecision: number | null;
  /** From which probability on a photo is given the label. */
  readonly threshold: number;
  /** The share of the photos given this label that have it. */
  readonly precision: number;
  /** The share of the photos that have this label that were given it. */
  readonly recall: number;
  /** The harmonic mean of precision and recall. */
  readonly f1: number;
}

/** What labels are worth that were given to photos of any number of labels. */
export interface LabelMetrics {
  /** Mean binary cross-entropy over photos and labels, neither weighted nor smoothed. */
  readonly loss: number;
  /** Mean of the average precisions of the labels that a photo has. */
  readonly map: number;
  /** Mean of F1 over those labels, and F1 of all labels of all photos together. */
  readonly macroF1: number;
  readonly microF1: number;
  readonly classes: readonly LabelScore[];
}

export const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit));

/** The labels, by their indices, whose probability reaches their threshold, in their order; of a row of logits. */
export function labelsOver(row: Float32Array, thresholds: readonly number[] | undefined): number[] {
  const found: number[] = [];
  row.forEach((logit, label) => {
    if (sigmoid(logit) >= (thresholds?.[label] ?? USUAL_THRESHOLD)) found.push(label);
  });
  return found;
}

/**
 * Metrics of `logits` [photos, labels] against `targets` of the same shape, 1 for each label of a photo. Without `thresholds` each label has
 * that of its best F1.
 */
export function labelMetricsOf(
  logits: Float32Array,
  targets: Float32Array,
  labels: number,
  thresholds?: readonly number[],
): LabelMetrics {
  const photos = labels === 0 ? 0 : logits.length / labels;
  const all = { right: 0, given: 0, present: 0 };
  const scores = Array.from({ length: labels }, (_, label): LabelScore => {
    const own = Float64Array.from({ length: photos }, (_, photo) => sigmoid(logits[photo * labels + label] ?? NaN));
    const has = (photo: number) => (targets[photo * labels + label] ?? 0) > 0.5;
    const order = byScore(own);
    const threshold = thresholds?.[label] ?? bestThreshold(own, has, order);
    let [right, given, present] = [0, 0, 0];
    own.forEach((probability, photo) => {
      const [isGiven, isPresent] = [probability >= threshold, has(photo)];
      if (isGiven) given++;
      if (isPresent) present++;
      if (isGiven && isPresent) right++;
    });
    all.right += right;
    all.given += given;
    all.present += present;
    return {
      photos: present,
      averagePrecision: averagePrecision(own, has, order) ?? null,
      threshold,
      precision: ratio(right, given),
      recall: ratio(right, present),
      f1: ratio(2 * right, given + present),
    };
  });
  const present = scores.filter((each) => each.photos > 0);
  const mean = (of: (score: LabelScore) => number) =>
    ratio(
      present.reduce((sum, each) => sum + of(each), 0),
      present.length,
    );
  return {
    loss: meanBinaryCrossEntropy(logits, targets),
    map: mean((each) => each.averagePrecision ?? 0),
    macroF1: mean(({ f1 }) => f1),
    microF1: ratio(2 * all.right, all.given + all.present),
    classes: scores,
  };
}

/**
 * The probability from which on photos are given a label such that F1 is the best, half way down to the next lower one that occurs, so that
 * rounding changes nothing; of equally good ones the highest. The usual one where no photo has the label.
 */
function bestThreshold(probabilities: Float64Array, has: (photo: number) => boolean, order: Int32Array): number {
  const present = order.reduce((count, photo) => count + (has(photo) ? 1 : 0), 0);
  let [right, best, threshold] = [0, 0, USUAL_THRESHOLD];
  order.forEach((photo, at) => {
    if (has(photo)) right++;
    const own = probabilities[photo] ?? 0;
    const next = probabilities[order[at + 1] ?? -1] ?? 0;
    if (next === own) return;
    const f1 = (2 * right) / (at + 1 + present);
    if (f1 > best) [best, threshold] = [f1, (own + next) / 2];
  });
  return threshold;
}

const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
