import { lstatSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { UserError } from './errors.js';
import { fileReason } from './files.js';
import { type FolderLock, isLocked, lockFolder } from './lock.js';
import { isOwnFolder, mark, removeMarked, removeMarkedSync } from './marker.js';
import { onExit } from './onExit.js';

const NAME = 'ort-tl-';

/** A folder for what is needed for a while. */
export interface TemporaryFolder {
  readonly path: string;
  /** Removes it with all that it holds. The end of the process does so too. */
  remove(): Promise<void>;
}

/**
 * Makes a folder among the system's temporary files, and removes those that killed processes have left there.
 * @throws UserError `write-failed`.
 */
export function temporaryFolder(): TemporaryFolder {
  try {
    return temporaryIn(tmpdir(), NAME);
  } catch (cause) {
    throw new UserError(
      'write-failed',
      `cannot write into ${tmpdir()}, the folder for temporary files: ${fileReason(cause instanceof UserError ? cause.cause : cause)}; free some space, or name another (TMPDIR)`,
      { cause },
    );
  }
}

/** Makes a folder as {@link temporaryFolder} does, but beside `path`, on the same disk: what is made there can be moved to its place at once. */
export function temporaryBeside(path: string): TemporaryFolder {
  return temporaryIn(join(path, '..'), `${basename(path)}.partial-`);
}

function temporaryIn(parent: string, prefix: string): TemporaryFolder {
  removeLeftovers(parent, prefix);
  const path = mkdtempSync(join(parent, prefix));
  let lock: FolderLock | undefined;
  const removeNow = () => {
    removeMarkedSync(path, 'temporary');
  };
  try {
    lock = lockFolder(path, 'using it');
    mark(path, 'temporary');
  } catch (thrown) {
    lock?.release();
    removeNow();
    throw thrown;
  }
  const forget = onExit(removeNow);
  return {
    path,
    remove: async () => {
      lock.release();
      // What was under way may still arrive.
      await removeMarked(path, 'temporary');
      // Not earlier: what a signal leaves of it would have no marker any more.
      forget();
    },
  };
}

function removeLeftovers(parent: string, prefix: string): void {
  for (const name of readdirSync(parent)) {
    const path = join(parent, name);
    if (!name.startsWith(prefix) || !isOwnFolder(path, 'temporary')) continue;
    try {
      if (isOthers(path) || isLocked(path)) continue;
      removeMarkedSync(path, 'temporary');
    } catch {
      // Another process removes it too.
    }
  }
}

/** Whether it is another user's, as it may be among the system's temporary files. */
function isOthers(path: string): boolean {
  return process.getuid !== undefined && lstatSync(path).uid !== process.getuid();
}
