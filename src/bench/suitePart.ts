import type { Shard } from '../shard.js';
import type { SuiteRun } from './suiteRuns.js';

/**
 * The runs of one part of a suite, in the order in which all of them are made. The longest first, each goes to the part that has the least to do so
 * far: parts are equally long as far as `estimates` tell. Among equals the order of `runs` decides, which the suite's seed has drawn.
 * @param estimates how long each run is, in any unit, by its id.
 */
export function partOf(
  runs: readonly SuiteRun[],
  estimates: ReadonlyMap<string, number>,
  { index, count }: Shard,
): SuiteRun[] {
  const lengthOf = ({ id }: SuiteRun) => estimates.get(id) ?? 0;
  const loads = Array.from({ length: Math.min(count, runs.length) }, () => 0);
  const part = new Set<SuiteRun>();
  for (const run of runs.toSorted((a, b) => lengthOf(b) - lengthOf(a))) {
    const least = loads.indexOf(Math.min(...loads));
    loads[least] = (loads[least] ?? 0) + lengthOf(run);
    if (least === index - 1) part.add(run);
  }
  return runs.filter((run) => part.has(run));
}
