import type { ComparedRun, ComparedValues } from './comparedRun.js';
import { type ByRound, type Interval, interval95, meanOf, pairedDifference } from './statistics.js';

export type ComparedQuantity = keyof ComparedValues;

/** What is compared, in the order of the table. */
export const comparedQuantities = [
  'top1',
  'map',
  'valLoss',
  'macroF1',
  'bestEpoch',
  'seconds',
  'peakRssBytes',
  'energyJ',
  'trainableParameters',
  'modelBytes',
] as const satisfies readonly ComparedQuantity[];

/** A mean over seeds, with Student's interval of 95 % where there are two or more. */
export interface Mean {
  readonly mean: number;
  readonly low: number | null;
  readonly high: number | null;
  readonly count: number;
}

/** Runs whose settings are the same but for the seed. */
export interface RunGroup {
  /** What sets it apart from the other groups. */
  readonly label: string;
  readonly runs: readonly ComparedRun[];
  readonly values: Readonly<Partial<Record<ComparedQuantity, Mean>>>;
}

/** A group against the first one. */
export interface Difference {
  readonly group: string;
  /** Seeds that both have; the difference is taken seed by seed where there are two or more, else between the means. */
  readonly pairs: number;
  readonly values: Readonly<Partial<Record<ComparedQuantity, Mean>>>;
}

export interface Comparison {
  readonly groups: readonly RunGroup[];
  /** Settings of which not all groups have the same value, by group in their order; empty where a group does not have it. */
  readonly settings: Readonly<Record<string, readonly string[]>>;
  readonly differences: readonly Difference[];
}

/** Sets runs side by side: those with equal settings but the seed as one group, each group against the first. */
export function compareRuns(runs: readonly ComparedRun[]): Comparison {
  const byKey = new Map<string, ComparedRun[]>();
  for (const run of runs) {
    const key = JSON.stringify(Object.entries(run.settings).sort(([a], [b]) => (a < b ? -1 : 1)));
    byKey.set(key, [...(byKey.get(key) ?? []), run]);
  }
  const grouped = [...byKey.values()];
  const settingsOf = (group: readonly ComparedRun[]) => group[0]?.settings ?? {};
  const names = [...new Set(grouped.flatMap((group) => Object.keys(settingsOf(group))))];
  const settings = Object.fromEntries(
    names
      .map((name) => [name, grouped.map((group) => settingsOf(group)[name] ?? '')] as const)
      .filter(([, values]) => new Set(values).size > 1),
  );
  const groups = grouped.map((group, index): RunGroup => ({
    label: labelOf(settings, index) ?? group[0]?.name ?? '',
    runs: group,
    values: valuesOf((quantity) => meanOver([...bySeed(group, quantity).values()])),
  }));
  const [first, ...others] = groups;
  return {
    groups,
    settings,
    differences: first ? others.map((other) => differenceOf(first, other)) : [],
  };
}

/** `F1C1`, or `F1C1, lr 0.01`: the policy speaks for itself. */
function labelOf(settings: Readonly<Record<string, readonly string[]>>, index: number): string | undefined {
  const own = Object.entries(settings).map(([name, values]) => {
    const value = values[index] ?? '';
    return name === 'policy' ? value : `${name} ${value === '' ? 'default' : value}`;
  });
  return own.length > 0 ? own.join(', ') : undefined;
}

function differenceOf(first: RunGroup, other: RunGroup): Difference {
  // Every run has it.
  const [a, b] = [bySeed(other.runs, 'bestEpoch'), bySeed(first.runs, 'bestEpoch')];
  return {
    group: other.label,
    pairs: [...a.keys()].filter((seed) => b.has(seed)).length,
    values: valuesOf((quantity) => {
      const paired = pairedDifference(bySeed(other.runs, quantity), bySeed(first.runs, quantity));
      if (paired) return meanOfInterval(paired);
      const [own, theirs] = [other.values[quantity], first.values[quantity]];
      return own && theirs && { mean: own.mean - theirs.mean, low: null, high: null, count: 1 };
    }),
  };
}

/** What a group has of a quantity; runs that repeat a seed count once, with their mean. */
function bySeed(runs: readonly ComparedRun[], quantity: ComparedQuantity): ByRound {
  const found = new Map<number, number[]>();
  for (const { seed, values } of runs) {
    const value = values[quantity];
    if (value !== undefined) found.set(seed, [...(found.get(seed) ?? []), value]);
  }
  return new Map([...found].map(([seed, values]) => [seed, meanOf(values)]));
}

function valuesOf(read: (quantity: ComparedQuantity) => Mean | undefined): Partial<Record<ComparedQuantity, Mean>> {
  return Object.fromEntries(
    comparedQuantities.flatMap((quantity) => {
      const value = read(quantity);
      return value ? [[quantity, value]] : [];
    }),
  );
}

function meanOver(values: readonly number[]): Mean | undefined {
  if (values.length === 0) return undefined;
  const interval = interval95(values);
  return interval ? meanOfInterval(interval) : { mean: meanOf(values), low: null, high: null, count: 1 };
}

const meanOfInterval = ({ mean, low, high, count }: Interval): Mean => ({ mean, low, high, count });
