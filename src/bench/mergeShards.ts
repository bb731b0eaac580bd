import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { UserError } from '../errors.js';
import { isSameFile, writeFileAtomically } from '../files.js';
import { showShard } from '../shard.js';
import { jsonText } from '../text.js';
import { KnownRuns } from './knownRuns.js';
import { type MeasurementRecord, Records } from './records.js';
import type { RunSettings } from './settingsOfRuns.js';
import { checkShard, nameOfRun, readShard, type ShardFile, writeMerged } from './shardFile.js';
import { RECORDS, SuiteFolder } from './suiteFolder.js';
import type { SuiteResults } from './suiteResults.js';
import { runsOf } from './suiteRuns.js';

/** What was joined of a suite, and what is missing of it. */
export interface MergedSuite {
  readonly results: SuiteResults;
  /** How many parts there are. */
  readonly count: number;
  /** Parts of which no folder was given, and which have runs. */
  readonly missingShards: readonly number[];
  /** Runs that no part has finished; those that failed are not among them. */
  readonly missingRuns: readonly string[];
}

/** A folder with a part, and what was measured there. */
interface Part {
  readonly folder: string;
  readonly file: ShardFile;
  readonly entries: readonly MeasurementRecord[];
  readonly isComplete: boolean;
  /** When its last run ended, ISO 8601; empty where none has. */
  readonly last: string;
}

/**
 * Joins the results of parts of a suite in the folder `out`, which is then one as if all had been run there. What lies there already stays. Of a part that is
 * given twice, the later complete one counts. Nothing of the parts is changed.
 * @throws UserError `bad-shard` for a folder that holds no part, or one of another suite, version or number of parts than the first;
 * `bad-arguments`, `folder-in-use`, `foreign-files`, `other-shard`, `write-failed`.
 */
export async function mergeShards(folders: readonly string[], out: string): Promise<MergedSuite> {
  const folder = await SuiteFolder.open(resolve(out));
  try {
    return await mergeInto(folder, folders);
  } finally {
    folder.close();
  }
}

/** {@link mergeShards}, in a folder that is taken already. */
export async function mergeInto({ out, records }: SuiteFolder, folders: readonly string[]): Promise<MergedSuite> {
  checkShard(out, undefined);
  const parts = folders.map((each) => partIn(each, out));
  const [first] = parts;
  if (!first) throw new UserError('bad-arguments', 'expected the folders of parts that are to be joined');
  for (const part of parts) checkFits(part, first);
  const lines = new Set<string>(existsSync(records) ? Records.open(records).entries.map((each) => jsonText(each)) : []);
  for (const { entries } of parts.toSorted(laterCounts)) for (const each of entries) lines.add(jsonText(each));
  await writeFileAtomically(records, ...[...lines].map((line) => `${line}\n`));
  const shards = [...new Set(parts.map(({ file }) => file.index))].sort((a, b) => a - b);
  await writeMerged(out, first.file, shards);
  const results = resultsOf(first.file, Records.open(records));
  const given = new Set(parts.flatMap(({ file }) => file.runs));
  const isWhole = first.file.all.every((name) => given.has(name));
  const indices = Array.from({ length: first.file.count }, (_, index) => index + 1);
  const asked = new Set(first.file.all);
  return {
    results,
    count: first.file.count,
    missingShards: isWhole ? [] : indices.filter((index) => !shards.includes(index)),
    missingRuns: results.outcomes.flatMap(({ run, result, error }) =>
      !result && error === undefined && asked.has(nameOfRun(run)) ? nameOfRun(run) : [],
    ),
  };
}

/** @throws UserError `bad-shard`, `bad-arguments`. */
function partIn(folder: string, out: string): Part {
  if (resolve(folder) === out || isSameFile(folder, out))
    throw new UserError('bad-arguments', `${folder} is a part, and cannot be where parts are joined (‹out›)`);
  const file = readShard(folder);
  if (!file)
    throw new UserError(
      'bad-shard',
      `${folder} holds no part of a suite: there is no shard.json in it; run ort-tl bench with ‹shard› there`,
    );
  const path = join(folder, RECORDS);
  const found = existsSync(path) ? Records.open(path, { reads: true }).entries : [];
  // What a short training took, to tell how long others will, is of no use elsewhere.
  const entries = found.filter(({ content }) => content !== undefined);
  const done = new Set(entries.flatMap((each) => (each.result && isOf(file, each) ? nameOfRun(each) : [])));
  return {
    ...{ folder, file, entries },
    isComplete: file.runs.every((name) => done.has(name)),
    last:
      entries
        .map(({ at }) => at)
        .sort()
        .at(-1) ?? '',
  };
}

/** Whether a measurement is one of those that the part is to make, with its model, photos and settings of now. */
const isOf = ({ contents }: ShardFile, { content }: MeasurementRecord): boolean =>
  content !== undefined && Object.values(contents).includes(content);

/** What comes last counts. */
const laterCounts = (a: Part, b: Part): number =>
  Number(a.isComplete) - Number(b.isComplete) || (a.last < b.last ? -1 : a.last > b.last ? 1 : 0);

/** @throws UserError `bad-shard`. */
function checkFits(part: Part, first: Part): void {
  const [its, other] = [part.file, first.file];
  const refuse = (what: string) =>
    new UserError('bad-shard', `${part.folder} cannot be joined with ${first.folder}: ${what}`);
  if (its.version !== other.version)
    throw refuse(`it was made by ort-tl ${its.version}, the other by ${other.version}; run it again with that version`);
  if (its.name !== other.name) throw refuse(`it holds a part of the suite ${its.name}, the other of ${other.name}`);
  if (its.count !== other.count)
    throw refuse(`it is shard ${showShard(its)}, the other ${showShard(other)}: they are not parts of one whole`);
  if (its.suite !== other.suite)
    throw refuse(`it holds a part of another form of the suite ${its.name}: ${differenceOf(its, other)}`);
}

/** The first row in which two forms of a suite differ. */
function differenceOf(its: ShardFile, other: ShardFile): string {
  const names = [...new Set([...Object.keys(its.contents), ...Object.keys(other.contents)])];
  const row = names.find((name) => its.contents[name] !== other.contents[name]);
  if (row === undefined) return 'its runs are not the same';
  if (its.contents[row] === undefined) return `it lacks the row ${row}`;
  if (other.contents[row] === undefined) return `it has a row more, ${row}`;
  return `model, photos, settings or versions of the row ${row} are not the same`;
}

/** What is known of all runs, on whichever machines. */
function resultsOf({ definition: suite, contents, machine, energy }: ShardFile, records: Records): SuiteResults {
  const runs = runsOf(suite);
  const settings: RunSettings = new Map(
    runs.flatMap(({ id, row }) => {
      const content = contents[row.name];
      return content === undefined ? [] : [[id, { setting: '', content }] as const];
    }),
  );
  const known = new KnownRuns(records, runs, settings, { machine: '', countsOthers: true });
  return { suite, machine, energy, outcomes: known.outcomes, otherRecords: known.otherRecords };
}
