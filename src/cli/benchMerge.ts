import { mergeShards, type MergedSuite, UserError, writeSuiteReport } from '../internal.js';
import { printResults } from './benchView.js';
import type { Terminal } from './terminal.js';

/** How many of the runs that are missing are named. */
const SHOWN = 12;

/**
 * Joins the parts of a suite in `out`, and writes the report of all of them. What is missing is named, and makes the exit code 1.
 * @throws UserError `bad-arguments`, and what {@link mergeShards} throws.
 */
export async function mergeParts(
  folders: readonly string[],
  out: string | undefined,
  terminal: Terminal,
): Promise<void> {
  if (folders.length === 0 || out === undefined)
    throw new UserError(
      'bad-arguments',
      'expected the folders of the parts, and where to join them: bench merge part1 part2 --out all',
    );
  const merged = await mergeShards(folders, out);
  await writeSuiteReport(merged.results, out);
  tellMissing(merged, terminal);
  const { missingShards, missingRuns } = merged;
  printResults(merged.results, out, terminal, { missingShards, missingRuns });
  if (missingRuns.length > 0) process.exitCode = 1;
}

/** Names parts that are missing, and runs that no part has made. */
export function tellMissing({ count, missingShards, missingRuns }: MergedSuite, terminal: Terminal): void {
  if (missingShards.length > 0)
    terminal.warn(`missing: shard ${missingShards.map((index) => `${index}/${count}`).join(', ')}`);
  if (missingRuns.length === 0) return;
  const shown = missingRuns.slice(0, SHOWN).join(', ');
  const more = missingRuns.length > SHOWN ? `, and ${missingRuns.length - SHOWN} more` : '';
  terminal.warn(`missing: ${missingRuns.length === 1 ? 'one run' : `${missingRuns.length} runs`}: ${shown}${more}`);
}
