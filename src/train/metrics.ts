import { argMax } from '../runtime/argMax.js';

/** How well a class is found, each a share from 0 to 1; 0 where a share has nothing to count. */
export interface ClassMetrics {
  /** Validation photos of this class. */
  readonly photos: number;
  /** The share of the photos given this class that are of it. */
  readonly precision: number;
  /** The share of the photos of this class that were given it. */
  readonly recall: number;
  /** The harmonic mean of precision and recall. */
  readonly f1: number;
}

export interface Metrics {
  /** Mean cross-entropy, unsmoothed. */
  readonly loss: number;
  /** Share of photos whose class is the model's first choice, and among its first five. */
  readonly top1: number;
  readonly top5: number;
  /** Mean over the classes that have photos: of F1, and of recall. */
  readonly macroF1: number;
  readonly balancedAccuracy: number;
  readonly classes: readonly ClassMetrics[];
  /** confusion[t][p]: photos of class t that were given class p. */
  readonly confusion: readonly (readonly number[])[];
}

/** The metrics by which a best checkpoint can be chosen, and whether more of one is better. */
export const metricNames = ['top1', 'top5', 'macroF1', 'balancedAccuracy', 'map', 'microF1', 'loss'] as const;
export type MetricName = (typeof metricNames)[number];

/** Whether `value` is better than `other`; any number is better than nothing and than NaN, and NaN never is. */
export function isBetter(metric: MetricName, value: number, other: number | undefined): boolean {
  if (Number.isNaN(value)) return false;
  if (other === undefined || Number.isNaN(other)) return true;
  return metric === 'loss' ? value < other : value > other;
}

/** A metric's value, and the validation loss beside it. */
export interface Measured {
  readonly value: number;
  readonly loss: number;
}

/** Whether an epoch is better than the best before it: by the metric or, where that is as good, as it often is on few photos, by the loss. */
export function isBetterEpoch(metric: MetricName, now: Measured, best: Measured | undefined): boolean {
  if (now.value === best?.value) return isBetter('loss', now.loss, best.loss);
  return isBetter(metric, now.value, best?.value);
}

/** The class with the largest logit of a row, the first of equals; −1, which is none, where a logit is NaN. */
export function predictionOf(row: Float32Array): number {
  return argMax(row, 0, row.length);
}

/** −log softmax(row)[label], in double precision. */
export function crossEntropyOf(row: Float32Array, label: number): number {
  let largest = -Infinity;
  for (const logit of row) if (logit > largest) largest = logit;
  let sum = 0;
  for (const logit of row) sum += Math.exp(logit - largest);
  return largest + Math.log(sum) - (row[label] ?? NaN);
}

/** Metrics of `logits` [photos, classes], row by row, against the class of each photo. */
export function metricsOf(logits: Float32Array, labels: readonly number[], classes: number): Metrics {
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  const photosOf = new Array<number>(classes).fill(0);
  let [loss, correct, amongFive] = [0, 0, 0];
  labels.forEach((label, photo) => {
    const row = logits.subarray(photo * classes, (photo + 1) * classes);
    const predicted = predictionOf(row);
    photosOf[label] = (photosOf[label] ?? 0) + 1;
    const counts = confusion[label];
    if (counts && predicted >= 0) counts[predicted] = (counts[predicted] ?? 0) + 1;
    if (predicted === label) correct++;
    // How many classes come before the photo's own: those with a larger logit, and equals that stand earlier.
    const own = row[label] ?? NaN;
    let before = 0;
    for (let other = 0; other < classes; other++) {
      const logit = row[other] ?? NaN;
      if (logit > own || (logit === own && other < label)) before++;
    }
    if (before < 5 && predicted >= 0) amongFive++;
    loss += crossEntropyOf(row, label);
  });
  const given = confusion.map((_, column) => confusion.reduce((total, row) => total + (row[column] ?? 0), 0));
  const byClass = confusion.map((row, index): ClassMetrics => {
    const right = row[index] ?? 0;
    const photos = photosOf[index] ?? 0;
    const precision = ratio(right, given[index] ?? 0);
    const recall = ratio(right, photos);
    return { photos, precision, recall, f1: ratio(2 * precision * recall, precision + recall) };
  });
  const present = byClass.filter(({ photos }) => photos > 0);
  const mean = (key: 'f1' | 'recall') =>
    ratio(
      present.reduce((total, each) => total + each[key], 0),
      present.length,
    );
  return {
    loss: ratio(loss, labels.length),
    top1: ratio(correct, labels.length),
    top5: ratio(amongFive, labels.length),
    macroF1: mean('f1'),
    balancedAccuracy: mean('recall'),
    classes: byClass,
    confusion,
  };
}

const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
