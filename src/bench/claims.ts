import { type ByRound, type Direction, shortfall, spreadOf } from './statistics.js';
import { significant } from './table.js';

/** What a number is counted in: `times` as fast, a `share` told in percent, milliseconds, bytes told in millions. */
export type Unit = 'times' | 'share' | 'ms' | 'bytes';

/** Something that a measurement is to show. */
export interface Claim {
  readonly what: string;
  readonly wanted: number;
  readonly direction: Direction;
  readonly unit: Unit;
  /** Empty where it was not measured, */
  readonly measured: ByRound;
  /** for this reason. */
  readonly missing?: string;
  /** What it was compared with, or how. */
  readonly note?: string;
}

export const claimHeadings = ['what', 'wanted', 'measured', 'each round', 'short by', 'compared with'];

/** A row of the table of claims: what was wanted, the median over the rounds, and by how much it is missed. */
export function claimRow({ what, wanted, direction, unit, measured, missing, note = '' }: Claim): string[] {
  const target = `${direction} ${show(wanted, unit)}`;
  const spread = spreadOf([...measured.values()]);
  if (!spread) return [what, target, `not measured: ${missing ?? 'no result'}`, '', '', note];
  const short = shortfall(spread.median, wanted, direction);
  return [
    what,
    target,
    show(spread.median, unit),
    spread.count === 1 ? 'one round' : `${show(spread.min, unit)} to ${show(spread.max, unit)}`,
    short === 0 ? 'nothing' : `${significant(100 * short, 2)} %`,
    note,
  ];
}

function show(value: number, unit: Unit): string {
  switch (unit) {
    case 'times':
      return `${significant(value)}×`;
    case 'share':
      return `${significant(100 * value)} %`;
    case 'ms':
      return `${significant(value)} ms`;
    case 'bytes':
      return `${significant(value / 1e6)} MB`;
  }
}
