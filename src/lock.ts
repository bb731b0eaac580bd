import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from './errors.js';
import { fileErrorCode, makeFolderSync, removeIfEmpty, writeFailed } from './files.js';
import { onExit } from './onExit.js';
import { hasEnded, processIdentitySchema, thisProcess } from './processIdentity.js';

export const LOCK_FILE = '.ort-tl.lock';
/** How often a holder shows that it lives, */
const TOUCH_EVERY_MS = 5000;
/** and after how long without that it is taken for dead where its process cannot be looked at. */
const STALE_MS = 60_000;
/** A lock is made and filled within a moment: what is empty for longer was left by a process that was killed in between. */
const EMPTY_MS = 5000;

const holderSchema = processIdentitySchema.extend({
  /** Such as `training F1C1`. */
  doing: z.string(),
  since: z.string(),
  /** No other lock has this token. */
  token: z.string(),
});
type Holder = z.infer<typeof holderSchema>;

/** A lock as it lies there. */
interface Found {
  /** What names it and no other. */
  readonly token: string;
  /** Unless it was cut off. */
  readonly holder: Holder | undefined;
  readonly mtimeMs: number;
}

/** A folder that no other process, and nothing else in this one, writes into until it is released. */
export class FolderLock {
  private isReleased = false;
  private isLost = false;
  private readonly timer: NodeJS.Timeout;
  private readonly forget: () => void;

  constructor(
    private readonly folder: string,
    private readonly path: string,
    private readonly holder: Holder,
    /** Folders that were made for it, outermost first. */
    private readonly made: readonly string[],
  ) {
    this.timer = setInterval(() => this.touch(), TOUCH_EVERY_MS);
    this.timer.unref();
    this.forget = onExit(() => this.release());
  }

  /** @throws UserError `folder-in-use` when another process took this one for dead, and the folder for itself. */
  check(): void {
    const found = this.isLost ? read(this.path) : undefined;
    if (found) throw inUse(this.folder, this.path, found);
  }

  /** Also removes folders that were made for it and that nothing was put into. */
  release(): void {
    if (this.isReleased) return;
    this.isReleased = true;
    clearInterval(this.timer);
    this.forget();
    try {
      if (read(this.path)?.token === this.holder.token) rmSync(this.path, { force: true });
    } catch {
      // Its disk is gone, or read-only by now: what it says of this process makes it stale.
    }
    for (const each of this.made.toReversed()) removeIfEmpty(each);
  }

  /** Writes it again: by the clock of its disk, which need not be this machine's. */
  private touch(): void {
    try {
      const file = openSync(this.path, 'r+');
      try {
        this.isLost = parse(readFileSync(file, 'utf8'))?.token !== this.holder.token;
        if (!this.isLost) writeSync(file, textOf(this.holder), 0);
      } finally {
        closeSync(file);
      }
    } catch {
      // Removed by hand, or out of reach for now.
    }
  }
}

/**
 * Takes a folder, which is made if need be, for this process. A lock that a killed process has left counts for nothing.
 * @throws UserError `folder-in-use` when it is taken, naming who has it; `write-failed`.
 */
export function lockFolder(folder: string, doing: string): FolderLock {
  const token = randomBytes(8).toString('hex');
  const holder = { ...thisProcess(), doing, since: new Date().toISOString(), token };
  const path = join(folder, LOCK_FILE);
  let made: string[] = [];
  try {
    try {
      take(folder, path, holder);
    } catch (thrown) {
      if (fileErrorCode(thrown) !== 'ENOENT') throw thrown;
      made = makeFolderSync(folder);
      take(folder, path, holder);
    }
    return new FolderLock(folder, path, holder, made);
  } catch (thrown) {
    for (const each of made.toReversed()) removeIfEmpty(each);
    throw thrown instanceof UserError ? thrown : writeFailed(path, thrown);
  }
}

/** Does some work while no other process writes into a folder. @throws as {@link lockFolder} does. */
export async function whileLocked<Result>(folder: string, doing: string, work: () => Promise<Result>): Promise<Result> {
  const lock = lockFolder(folder, doing);
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/** @throws UserError `folder-in-use` when a process that lives has the folder. */
export function checkUnlocked(folder: string): void {
  const path = join(folder, LOCK_FILE);
  const found = read(path);
  if (found && !isStale(path, found)) throw inUse(folder, path, found);
}

/** Whether a process that lives has the folder. */
export function isLocked(folder: string): boolean {
  const path = join(folder, LOCK_FILE);
  const found = read(path);
  return found !== undefined && !isStale(path, found);
}

/**
 * Takes the lock at `path`. The lock of a dead process may be replaced by whoever holds its successor, a lock that is named after it;
 * of several that find it, one alone can create that. A process that dies in between leaves a successor, which is a lock like any other.
 */
function take(folder: string, path: string, holder: Holder): void {
  for (;;) {
    if (create(path, holder)) return;
    const found = read(path);
    if (!found) continue;
    if (!isStale(path, found)) throw inUse(folder, path, found);
    const successor = join(folder, `${LOCK_FILE}.${found.token}`);
    take(folder, successor, holder);
    // Whoever held the successor before may have replaced it already.
    if (read(path)?.token === found.token) {
      renameSync(successor, path);
      return;
    }
    rmSync(successor, { force: true });
  }
}

/** Whether it was not there, and is ours now. */
function create(path: string, holder: Holder): boolean {
  let file: number;
  try {
    file = openSync(path, 'wx');
  } catch (thrown) {
    if (fileErrorCode(thrown) === 'EEXIST') return false;
    throw thrown;
  }
  try {
    writeSync(file, textOf(holder));
  } catch (thrown) {
    rmSync(path, { force: true });
    throw thrown;
  } finally {
    closeSync(file);
  }
  // A process that was stopped for long between the two finds another's here.
  return read(path)?.token === holder.token;
}

const textOf = (holder: Holder) => `${JSON.stringify(holder)}\n`;

function parse(text: string): Holder | undefined {
  try {
    return holderSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** The lock at `path`; undefined where there is none. */
function read(path: string): Found | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (thrown) {
    if (['ENOENT', 'ENOTDIR'].includes(fileErrorCode(thrown) ?? '')) return undefined;
    throw thrown;
  }
  try {
    const { mtimeMs, ino } = fstatSync(file);
    const holder = parse(readFileSync(file, 'utf8'));
    return { token: holder?.token ?? `part-${ino}`, holder, mtimeMs };
  } finally {
    closeSync(file);
  }
}

function isStale(path: string, { holder, mtimeMs }: Found): boolean {
  const ended = holder && hasEnded(holder);
  if (ended !== undefined) return ended;
  const longest = holder ? STALE_MS : EMPTY_MS;
  // The clock of the disk costs a file, and is asked only where this machine's says so.
  return Date.now() - mtimeMs > longest && clockBeside(path) - mtimeMs > longest;
}

/** The time by the disk that `path` lies on. */
function clockBeside(path: string): number {
  const file = `${path}.${randomBytes(4).toString('hex')}.clock`;
  try {
    writeFileSync(file, '');
    return statSync(file).mtimeMs;
  } catch {
    return Date.now();
  } finally {
    rmSync(file, { force: true });
  }
}

function inUse(folder: string, path: string, { holder, mtimeMs }: Found): UserError {
  const since = (holder?.since ?? new Date(mtimeMs).toISOString()).slice(0, 19).replace('T', ' ');
  const who = holder ? `process ${holder.pid} on ${holder.host} is ${holder.doing}` : 'another process is writing';
  return new UserError(
    'folder-in-use',
    `${who} in ${folder} since ${since} UTC; wait for it, or choose another folder (‹out›); its lock is ${path}`,
  );
}
