import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../errors.js';
import { writeFailed } from '../files.js';
import { refuseForeign } from '../foreignFiles.js';
import { checkUnlocked, type FolderLock, isLocked, LOCK_FILE, lockFolder } from '../lock.js';
import { isMarked, isOwnFolder, mark, markerIn, removeMarked, removeMarkedSync } from '../marker.js';
import { onExit } from '../onExit.js';
import { recordOf } from './records.js';
import { MERGED_FILE, SHARD_FILE } from './shardFile.js';

/** What a suite writes, beside the pictures that are drawn and the runs that are kept, which say by themselves what they are. */
export const RECORDS = 'results.jsonl';
const SUITE_FILES = [RECORDS, SHARD_FILE, MERGED_FILE, 'report.html', 'summary.csv', 'figures'];
const WORK = 'work-';
/** Where a training of a suite writes, in the folder in which it works. */
export const RUN = 'run';
/** How long the training of a suite that was killed may take to end, and how often it is looked at. */
const PATIENCE_MS = 10_000;
const LOOK_EVERY_MS = 50;

/** The folder of a suite, which no other process runs one in until it is closed. */
export class SuiteFolder {
  private constructor(
    readonly out: string,
    private readonly lock: FolderLock,
  ) {}

  /**
   * Takes the folder, which is made if need be, and removes what a suite that was killed has left there.
   * @throws UserError `folder-in-use`, `foreign-files` when it holds files that a suite would replace, and no suite; `write-failed`.
   */
  static async open(out: string): Promise<SuiteFolder> {
    const lock = lockFolder(out, 'running a suite');
    try {
      if (!isSuite(out)) {
        refuseForeign(out, SUITE_FILES, 'a suite');
        mark(out, 'suite');
      }
      for (const { name } of readdirSync(out, { withFileTypes: true }))
        if (name.startsWith(WORK) && isOwnFolder(join(out, name), 'suite-work')) await removeWork(join(out, name));
      return new SuiteFolder(out, lock);
    } catch (thrown) {
      lock.release();
      throw thrown instanceof UserError ? thrown : writeFailed(out, thrown);
    }
  }

  get records(): string {
    return join(this.out, RECORDS);
  }

  /** Makes a folder to work in. @throws UserError `write-failed`. */
  makeWork(): WorkFolder {
    try {
      const path = mkdtempSync(join(this.out, WORK));
      mark(path, 'suite-work');
      const forget = onExit(() => {
        removeMarkedSync(path, 'suite-work');
      });
      return {
        path,
        remove: async () => {
          await removeMarked(path, 'suite-work');
          // Not earlier: what a signal leaves of it is removed by that.
          forget();
        },
      };
    } catch (thrown) {
      throw thrown instanceof UserError ? thrown : writeFailed(this.out, thrown);
    }
  }

  /** Lets go of the folder, and removes it when nothing was put into it. */
  close(): void {
    const own = [LOCK_FILE, basename(markerIn(this.out, 'suite'))];
    if (readdirSync(this.out).every((name) => own.includes(name))) rmSync(markerIn(this.out, 'suite'), { force: true });
    this.lock.release();
  }
}

/** Where the trainings of a suite write while it runs. */
export interface WorkFolder {
  readonly path: string;
  remove(): Promise<void>;
}

/** Whether a suite was run there; those of a version that did not mark its folders have its records. */
function isSuite(folder: string): boolean {
  if (isMarked(folder, 'suite')) return true;
  try {
    return readFileSync(join(folder, RECORDS), 'utf8')
      .split('\n')
      .some((line) => recordOf(line) !== undefined);
  } catch {
    return false;
  }
}

/** Removes the folder of a suite that was killed. Its training ends by itself, since nobody is left to read what it says. */
async function removeWork(work: string): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  while (isLocked(join(work, RUN)) && performance.now() < until) await sleep(LOOK_EVERY_MS);
  checkUnlocked(join(work, RUN));
  await removeMarked(work, 'suite-work');
}
