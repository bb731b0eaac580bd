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
