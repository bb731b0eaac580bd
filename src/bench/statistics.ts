/** The middle value, or the mean of the two in the middle. @throws RangeError for no values. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('no values have no median');
  const sorted = values.toSorted((a, b) => a - b);
  const [low = NaN, high = NaN] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  return (low + high) / 2;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** How many values there were. */
  readonly count: number;
}

/** Undefined for no values. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), count: values.length };
}

/** A quantity by round: what was measured side by side stands under the same number. */
export type ByRound = ReadonlyMap<number, number>;

/** `combine` of the values of each round that all of `quantities` have. */
export function inEachRound(combine: (...values: number[]) => number, ...quantities: readonly ByRound[]): ByRound {
  const [first, ...others] = quantities;
  const combined = new Map<number, number>();
  for (const [round, value] of first ?? []) {
    const rest = others.flatMap((quantity) => quantity.get(round) ?? []);
    if (rest.length === others.length) combined.set(round, combine(value, ...rest));
  }
  return combined;
}

/** Round by round, so that what slows a whole round down falls out. */
export const ratio = (above: ByRound, below: ByRound): ByRound => inEachRound((a, b) => a / b, above, below);

export type Direction = 'at least' | 'at most';

/** By how much `measured` misses `wanted`, as a share of it; 0 where it does not. */
export function shortfall(measured: number, wanted: number, direction: Direction): number {
  return Math.max(0, direction === 'at least' ? (wanted - measured) / wanted : (measured - wanted) / wanted);
}

/** @throws RangeError for no values. */
export function meanOf(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('no values have no mean');
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The standard deviation of a sample, with n − 1; undefined for fewer than two values. */
export function standardDeviation(values: readonly number[]): number | undefined {
  if (values.length < 2) return undefined;
  const mean = meanOf(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}

/** A mean, and how sure it is. */
export interface Interval {
  readonly mean: number;
  /** The interval that covers the true mean 95 times in 100, where values are independent and about normal. */
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

/** Student's interval of 95 %; undefined for fewer than two values. */
export function interval95(values: readonly number[]): Interval | undefined {
  const deviation = standardDeviation(values);
  if (deviation === undefined) return undefined;
  const mean = meanOf(values);
  const half = (studentQuantile95(values.length - 1) * deviation) / Math.sqrt(values.length);
  return { mean, low: mean - half, high: mean + half, count: values.length };
}

/** By how much `a` is above `b`, seed by seed; undefined where they have fewer than two seeds in common. */
export function pairedDifference(a: ByRound, b: ByRound): Interval | undefined {
  return interval95([...inEachRound((x, y) => x - y, a, b).values()]);
}

/**
 * The t within which 95 % of Student's distribution lie on both sides of 0, right to five digits: closed forms for one and two degrees of freedom,
 * else G. W. Hill's algorithm 396 (Communications of the ACM 13, 1970).
 */
function studentQuantile95(degrees: number): number {
  const tails = 0.05;
  if (degrees === 1) return 1 / Math.tan((tails * Math.PI) / 2);
  if (degrees === 2) return Math.sqrt(2 / (tails * (2 - tails)) - 2);
  const a = 1 / (degrees - 0.5);
  const b = 48 / (a * a);
  let c = ((20700 * a) / b - 98) * a * a - 16 * a + 96.36;
  const d = ((94.5 / (b + c) - 3) / b + 1) * Math.sqrt((a * Math.PI) / 2) * degrees;
  let y = (d * tails) ** (2 / degrees);
  if (y > 0.05 + a) {
    // The quantile of the normal distribution for 2.5 %.
    const x = -1.959963984540054;
    y = x * x;
    if (degrees < 5) c += 0.3 * (degrees - 4.5) * (x + 0.6);
    c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c;
    y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x;
    y = a * y * y;
    y = y > 0.002 ? Math.expm1(y) : 0.5 * y * y + y;
  } else {
    y =
      ((1 / (((degrees + 6) / (degrees * y) - 0.089 * d - 0.822) * (degrees + 2) * 3) + 0.5 / (degrees + 4)) * y - 1) *
        ((degrees + 1) / (degrees + 2)) +
      1 / y;
  }
  return Math.sqrt(degrees * y);
}
