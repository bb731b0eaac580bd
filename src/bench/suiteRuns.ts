import { Random } from '../random.js';
import type { CacheState, Suite, SuiteRow } from './suite.js';

/** One training of a suite. */
export interface SuiteRun {
  /** `small_cnn-pictures/F1C1/cold/seed-0`. */
  readonly id: string;
  readonly row: SuiteRow;
  readonly policy: string;
  readonly cache: CacheState;
  readonly seed: number;
  /** From 1 on. */
  readonly round: number;
}

/** What is equal for all seeds and rounds of a run. */
export const cellOf = ({ row, policy, cache }: Pick<SuiteRun, 'row' | 'policy' | 'cache'>): string =>
  `${row.name}/${policy}/${cache}`;

/**
 * All runs of a suite whose files are there, in the order in which they are made: one seed of everything after another, each in an
 * order drawn from the suite's seed, so that what the machine does meanwhile falls on all policies alike.
 */
export function runsOf(suite: Suite): SuiteRun[] {
  const random = new Random(suite.order);
  const rows = suite.rows.filter(({ missing }) => missing === undefined);
  const seeds = [...new Set(rows.flatMap((row) => row.seeds))];
  return Array.from({ length: suite.repeat }, (_, index) => index + 1).flatMap((round) =>
    seeds.flatMap((seed) =>
      random.shuffle(
        rows
          .filter((row) => row.seeds.includes(seed))
          .flatMap((row) =>
            row.policies.flatMap((policy) =>
              suite.caches.map((cache) => ({
                id: `${cellOf({ row, policy, cache })}/seed-${seed}`,
                ...{ row, policy, cache, seed, round },
              })),
            ),
          ),
      ),
    ),
  );
}

/** Runs that one of the comma-separated `only` asks for: each is words between slashes, all of which must be the run's. */
export function chosenRuns(runs: readonly SuiteRun[], only: string | undefined): SuiteRun[] {
  if (only === undefined) return [...runs];
  const wanted = only.split(',').map((each) => each.split('/').filter((word) => word !== ''));
  return runs.filter(({ id, row }) => {
    const words = [...id.split('/'), row.model.name, row.data.name];
    return wanted.some((each) => each.length > 0 && each.every((word) => words.includes(word)));
  });
}
