import { predictionOf } from './metrics.js';
import type { Settings } from './trainOptions.js';

/** How the logits of a model compare with those that they should be. */
export interface Agreement {
  readonly photos: number;
  /** Photos that get the same class; where two logits are all but equal, rounding may choose the other. */
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

/** Compares rows of logits, photo by photo. */
export class LogitComparison {
  private readonly differences: number[] = [];
  private agreeing = 0;
  private scale = 0;

  /** @param inShares whether one of both was made of probabilities, which tell logits but for what is common to all of a photo. */
  constructor(private readonly inShares: boolean) {}

  add(expected: Float32Array, given: Float32Array): void {
    const [rows, others] = this.inShares ? [logSoftmax(expected), logSoftmax(given)] : [expected, given];
    let difference = 0;
    rows.forEach((logit, index) => {
      this.scale = Math.max(this.scale, Math.abs(logit));
      const between = Math.abs(logit - (others[index] ?? NaN));
      // What is no number compares with nothing.
      if (!(between <= difference)) difference = Number.isFinite(between) ? between : Infinity;
    });
    this.differences.push(difference);
    const predicted = predictionOf(rows);
    if (predicted >= 0 && predicted === predictionOf(others)) this.agreeing++;
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
