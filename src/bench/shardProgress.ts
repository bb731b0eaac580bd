import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Records } from './records.js';
import { nameOfRun, readShard } from './shardFile.js';
import { RECORDS } from './suiteFolder.js';

/** How far a part of a suite is. */
export interface ShardProgress {
  /** How many of its runs are finished. */
  readonly finished: number;
  /** Whether all are. */
  readonly isComplete: boolean;
}

/** How far the part in a folder is, while another process may be working on it. @throws UserError `bad-shard`, `bad-suite`. */
export function shardProgress(folder: string): ShardProgress {
  const file = readShard(folder);
  const path = join(folder, RECORDS);
  if (!file) return { finished: 0, isComplete: false };
  const contents = new Set(Object.values(file.contents));
  const entries = existsSync(path) ? Records.open(path, { reads: true }).entries : [];
  const done = new Set(
    entries.flatMap((each) => (each.result && contents.has(each.content ?? '') ? nameOfRun(each) : [])),
  );
  const finished = file.runs.filter((name) => done.has(name)).length;
  return { finished, isComplete: finished === file.runs.length };
}
