import { UserError } from '../errors.js';
import { makeFolderSync } from '../files.js';
import { type FolderLock, lockFolder } from '../lock.js';
import { cannotKeep } from './download.js';
import type { ModelEvent } from './modelEvents.js';
import { pause } from './persistence.js';

const LOOK_EVERY_MS = 200;

/**
 * Takes a folder for this process alone, and waits for another one that has it.
 * @throws UserError `write-failed`, `stopped`.
 */
export async function* whenFree(
  folder: string,
  what: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ModelEvent, FolderLock> {
  let isTold = false;
  while (true) {
    try {
      // A lock would take the folder away with it, which another process may be about to write into.
      makeFolderSync(folder);
      return lockFolder(folder, `pulling ${what}`);
    } catch (thrown) {
      if (!(thrown instanceof UserError)) throw cannotKeep(folder, thrown);
      if (thrown.code !== 'folder-in-use') throw cannotKeep(folder, thrown.cause);
    }
    if (!isTold) yield { type: 'waiting', reason: `another process is pulling ${what}; waiting for it` };
    isTold = true;
    await pause(LOOK_EVERY_MS, signal);
  }
}
