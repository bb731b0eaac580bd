import { allFinite } from '../finite.js';
import type { ScoreEnding } from '../runtime/classifier.js';
import { labelsOver, sigmoid } from './labelMetrics.js';
import { predictionOf } from './metrics.js';
import type { Settings } from './trainOptions.js';

/** How the logits of a model compare with those that they should be. */
export interface Agreement {
  readonly photos: number;
  /** Photos that get the same class, or the same labels; where two logits are all but equal, rounding may choose the other. */
  readonly agreeing: number;
  /** The largest difference of two logits of one photo and class; null where one was no number. */
  readonly largestDifference: number | null;
  /** The largest magnitude of a logit that should be. */
  readonly scale: number;
  /** The share of `scale` by which logits may differ. */
  readonly tolerance: number;
  /** Photos with a logit that differs by more, or is no number. */
  readonly differing: number;
  /** Whether there are none. */
  readonly ok: boolean;
}

/**
 * By what share of the largest logit the exported model, which takes one photo at a time, may differ from the evaluation, which takes many
 * and knows their features. Measured of EfficientNet-B0, EfficientNet-Lite0 and MobileOne-S0, by F1C0, F1C1 and `blocks:2`, on 48 photos:
 * in float32 1.4e-6, with features in float16 1.2e-4, and with the frozen part in int8 9e-7, but 5.1e-2 of B0, where a number that is rounded
 * the other way goes through gates. What is truly another computation, such as statistics over a whole batch, is above 1e-2. Other providers
 * than the CPU may round as float16 does (TF32).
 */
export const TOLERANCES = { float32: 1e-3, float16: 5e-3, otherProvider: 2e-2, int8: 0.25 } as const;

export function toleranceOf({
  boundaryDtype,
  frozen,
  provider,
}: Pick<Settings, 'boundaryDtype' | 'frozen' | 'provider'>): number {
  if (frozen === 'int8') return TOLERANCES.int8;
  return provider === 'cpu' ? TOLERANCES[boundaryDtype] : TOLERANCES.otherProvider;
}

/** What is compared. */
export interface ComparedLogits {
  /**
   * What one of both, or both, were made of: shares of all classes together tell logits but for what is common to all of a photo; probabilities
   * of labels near 1 round so that they are compared themselves.
   */
  readonly ending?: ScoreEnding | undefined;
  /** Where photos have any number of labels: from which probability on each. */
  readonly thresholds?: readonly number[] | undefined;
}

/** Compares rows of logits, photo by photo. */
export class LogitComparison {
  private readonly differences: number[] = [];
  private agreeing = 0;
  /** Labels that both give, and those that each gives, of all photos. */
  private readonly given = { both: 0, each: 0 };
  private scale = 0;

  constructor(private readonly compared: ComparedLogits = {}) {}

  add(expected: Float32Array, given: Float32Array): void {
    const { ending, thresholds } = this.compared;
    const shown = (row: Float32Array) => (ending === 'sigmoid' ? row.map(sigmoid) : ending ? logSoftmax(row) : row);
    const [rows, others] = [shown(expected), shown(given)];
    let difference = 0;
    rows.forEach((logit, index) => {
      this.scale = Math.max(this.scale, Math.abs(logit));
      const between = Math.abs(logit - (others[index] ?? NaN));
      // What is no number compares with nothing.
      if (!(between <= difference)) difference = Number.isFinite(between) ? between : Infinity;
    });
    this.differences.push(difference);
    if (thresholds ? this.haveSameLabels(expected, given, thresholds) : haveSameClass(rows, others)) this.agreeing++;
  }

  /** How alike what is given is, 0 to 1: the share of photos with the same class, or F1 of the labels that one gives against those of the other. */
  get likeness(): number {
    const { both, each } = this.given;
    if (this.compared.thresholds) return each === 0 ? 1 : (2 * both) / each;
    return this.agreeing / this.differences.length;
  }

  private haveSameLabels(row: Float32Array, other: Float32Array, thresholds: readonly number[]): boolean {
    const [expected, given] = [row, other].map((each) => labelsOver(each, thresholds));
    if (!expected || !given || !allFinite(other)) return false;
    const common = expected.filter((label) => given.includes(label)).length;
    this.given.both += common;
    this.given.each += expected.length + given.length;
    return common === expected.length && common === given.length;
  }

  result(tolerance: number): Agreement {
    const { differences, agreeing, scale } = this;
    const largest = differences.reduce((most, each) => Math.max(most, each), 0);
    const allowed = tolerance * Math.max(scale, SMALLEST_SCALE);
    const differing = differences.filter((each) => !(each <= allowed)).length;
    return {
      photos: differences.length,
      agreeing,
      largestDifference: Number.isFinite(largest) ? largest : null,
      scale,
      tolerance,
      differing,
      ok: differing === 0,
    };
  }
}

function haveSameClass(row: Float32Array, other: Float32Array): boolean {
  const predicted = predictionOf(row);
  return predicted >= 0 && predicted === predictionOf(other);
}

/** Rounding is no smaller than for logits of this size, even where they are all but zero. */
const SMALLEST_SCALE = 1e-3;
/** Shares below this are no longer told apart in float32. */
const SMALLEST_LOGARITHM = Math.log(1e-37);

function logSoftmax(scores: Float32Array): Float32Array {
  const largest = scores.reduce((most, score) => Math.max(most, score), -Infinity);
  const sum = scores.reduce((total, score) => total + Math.exp(score - largest), 0);
  return scores.map((score) => {
    const logarithm = score - largest - Math.log(sum);
    return logarithm < SMALLEST_LOGARITHM ? SMALLEST_LOGARITHM : logarithm;
  });
}
