import { scoreOf } from '../train/headline.js';
import type { Machine } from './machine.js';
import { reached, type RunResult } from './runResult.js';
import type { CacheState, Suite, SuiteRow } from './suite.js';
import { cellOf, type SuiteRun } from './suiteRuns.js';

export interface RunOutcome {
  readonly run: SuiteRun;
  /** Undefined where it failed, or was not made yet. */
  readonly result: RunResult | undefined;
  readonly error: string | undefined;
  /** When it ended, ISO 8601. */
  readonly at: string | undefined;
  /** The kind of machine that made it; where it is not said, that of all others. */
  readonly machine?: string;
}

/** Everything that a report tells. */
export interface SuiteResults {
  readonly suite: Suite;
  readonly machine: Machine;
  /** What joules come from, or why there are none. */
  readonly energy: string;
  readonly outcomes: readonly RunOutcome[];
  /** Records in the file that were made under other settings, or on another machine. */
  readonly otherRecords: number;
}

/** A policy on a row, with a cold or a warm cache, over all seeds. */
export interface Cell {
  readonly name: string;
  readonly row: SuiteRow;
  readonly policy: string;
  readonly cache: CacheState;
  readonly finished: readonly FinishedRun[];
  /** Those of them whose time, memory and energy are told together: of one kind of machine. */
  readonly measured: readonly FinishedRun[];
}

export interface FinishedRun {
  readonly run: SuiteRun;
  readonly result: RunResult;
  readonly machine: string | undefined;
  /** The accuracy that it was to reach, 0 to 1; undefined where the baseline's run of its seed is missing. */
  readonly target: number | undefined;
  /** The first epoch at whose end it was reached, and how long that took; undefined where it never was. */
  readonly reached: { readonly epoch: number; readonly seconds: number } | undefined;
}

/** The kinds of machines that finished runs, in alphabetical order. */
export const machinesOf = ({ outcomes }: Pick<SuiteResults, 'outcomes'>): string[] =>
  [...new Set(outcomes.flatMap(({ result, machine }) => (result && machine !== undefined ? machine : [])))].sort();

/**
 * The cells of a suite, in the order of its rows and their policies. Where several kinds of machines ran it, a cell of all of them has accuracies alone:
 * {@link cellsOn} tells what they took on each.
 */
export function cellsOf(results: SuiteResults): Cell[] {
  const { suite, outcomes } = results;
  const isOfOneKind = machinesOf(results).length <= 1;
  return suite.rows.flatMap((row) =>
    suite.caches.flatMap((cache) =>
      row.policies.map((policy) => {
        const name = cellOf({ row, policy, cache });
        const finished = outcomes.flatMap(({ run, result, machine }): FinishedRun[] => {
          if (!result || cellOf(run) !== name) return [];
          const target = targetOf(run, suite, outcomes);
          const atTarget = target === undefined ? undefined : reached(result, target);
          return [{ run, result, machine, target, reached: atTarget }];
        });
        return { name, row, policy, cache, finished, measured: isOfOneKind ? finished : [] };
      }),
    ),
  );
}

/** The cells of which one kind of machine has finished runs, with what these took there. */
export const cellsOn = (cells: readonly Cell[], machine: string): Cell[] =>
  cells.flatMap((cell) => {
    const measured = cell.finished.filter((run) => run.machine === machine);
    return measured.length === 0 ? [] : [{ ...cell, measured }];
  });

function targetOf(run: SuiteRun, { baseline }: Suite, outcomes: readonly RunOutcome[]): number | undefined {
  const { target } = run.row.data;
  if (target !== 'baseline') return target;
  const reference = outcomes.find(
    ({ run: other }) =>
      other.row.name === run.row.name &&
      other.policy === baseline &&
      other.cache === run.cache &&
      other.seed === run.seed &&
      other.round === run.round,
  )?.result;
  return reference && scoreOf(reference);
}

/** What is told of a run, and summed up over the seeds of a cell. */
export interface Quantity {
  readonly key: string;
  readonly title: string;
  readonly unit: '%' | '' | 's' | 'MB' | 'J';
  readonly what: string;
  /** Whether it depends on what was learned alone, and not on the machine: then all runs are told together. */
  readonly isOfLearning?: boolean;
  readonly read: (run: FinishedRun) => number | undefined;
}

export const quantities: readonly Quantity[] = [
  {
    key: 'top1Percent',
    title: 'top-1',
    unit: '%',
    what: 'accuracy on the validation photos at the best epoch',
    isOfLearning: true,
    read: ({ result }) => (result.top1 === undefined ? undefined : 100 * result.top1),
  },
  {
    key: 'mapPercent',
    title: 'mAP',
    unit: '%',
    what: 'mean average precision of the labels on the validation photos at the best epoch',
    isOfLearning: true,
    read: ({ result }) => (result.map === undefined ? undefined : 100 * result.map),
  },
  {
    key: 'bestEpoch',
    title: 'best epoch',
    unit: '',
    what: 'the first epoch with that accuracy',
    isOfLearning: true,
    read: ({ result }) => result.bestEpoch,
  },
  {
    key: 'epochsToTarget',
    title: 'epochs to target',
    unit: '',
    what: 'the first epoch at whose end the target accuracy was reached; runs that never reach it are left out',
    isOfLearning: true,
    read: (run) => run.reached?.epoch,
  },
  {
    key: 'secondsToTarget',
    title: 'time to target',
    unit: 's',
    what: 'wall-clock from before the first photo is read to the end of that epoch, its evaluation included',
    read: (run) => run.reached?.seconds,
  },
  {
    key: 'trainingSeconds',
    title: 'time to the end',
    unit: 's',
    what: 'wall-clock from before the first photo is read to the end of the last epoch',
    read: ({ result }) => result.curve.at(-1)?.seconds,
  },
  {
    key: 'wallSeconds',
    title: 'whole process',
    unit: 's',
    what: 'wall-clock of the process: start, compiling, training, export and drawing included',
    read: ({ result }) => result.wallSeconds,
  },
  {
    key: 'cpuSeconds',
    title: 'CPU',
    unit: 's',
    what: 'user and system seconds of the process, all threads added up',
    read: ({ result }) => result.cpuSeconds ?? undefined,
  },
  {
    key: 'peakRssMB',
    title: 'peak memory',
    unit: 'MB',
    what: 'the most that the process held in memory',
    read: ({ result }) => megabytes(result.peakRssBytes),
  },
  {
    key: 'readMB',
    title: 'read',
    unit: 'MB',
    what: 'from storage; what the page cache served is not in it',
    read: ({ result }) => megabytes(result.readBytes),
  },
  {
    key: 'writtenMB',
    title: 'written',
    unit: 'MB',
    what: 'to storage',
    read: ({ result }) => megabytes(result.writtenBytes),
  },
  {
    key: 'grossJ',
    title: 'energy, gross',
    unit: 'J',
    what: "the whole machine's during the process, as far as its meters see it",
    read: ({ result }) => result.energy?.grossJ,
  },
  {
    key: 'idleJ',
    title: 'idle',
    unit: 'J',
    what: 'what the idle machine would have drawn in that time',
    read: ({ result }) => result.energy?.idleJ ?? undefined,
  },
  {
    key: 'netJ',
    title: 'energy, net',
    unit: 'J',
    what: 'gross without idle',
    read: ({ result }) => result.energy?.netJ ?? undefined,
  },
];

export function quantityCalled(key: string): Quantity {
  const found = quantities.find((each) => each.key === key);
  if (!found) throw new Error(`there is no quantity ${key}`);
  return found;
}

const megabytes = (bytes: number | null) => (bytes === null ? undefined : bytes / 1e6);

/** A quantity of each finished run of a cell, where it is known; of one kind of machine, where it depends on that. */
export const valuesOf = (cell: Cell, { read, isOfLearning }: Quantity): number[] =>
  (isOfLearning ? cell.finished : cell.measured).flatMap((run) => {
    const value = read(run);
    return value === undefined || !Number.isFinite(value) ? [] : [value];
  });

/** Joules where every run of `cells` has them (net ones where there is an idle baseline), else CPU seconds, else seconds. */
export function costQuantity(cells: readonly Cell[]): { readonly quantity: Quantity; readonly estimated: boolean } {
  const runs = cells.flatMap(({ measured }) => measured);
  const known = (key: string) => runs.length > 0 && runs.every((run) => quantityCalled(key).read(run) !== undefined);
  const key = ['netJ', 'grossJ', 'cpuSeconds'].find(known) ?? 'wallSeconds';
  return {
    quantity: quantityCalled(key),
    estimated: key.endsWith('J') && runs.some(({ result }) => result.energy?.estimated),
  };
}

/** What tells how accurate the runs of cells are: top-1, or the mean average precision where photos have any number of labels. */
export function accuracyIn(cells: readonly Cell[]): Quantity {
  const map = quantityCalled('mapPercent');
  return cells.some((cell) => valuesOf(cell, map).length > 0) ? map : quantityCalled('top1Percent');
}
