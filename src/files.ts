import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  realpathSync,
  rmdirSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs';
import { mkdir, open, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import { messageOf, UserError } from './errors.js';
import { onExit } from './onExit.js';
import { partialPath, removeAbandoned } from './partialFiles.js';

/** What a file is to hold: its path, and its parts one after another. */
export interface FileContent {
  readonly path: string;
  readonly parts: readonly (Uint8Array | string)[];
}

/**
 * Writes `parts` to `path` beside the target, flushes, and renames: readers see the old file or the whole new one.
 * @throws UserError `write-failed` when the disk is full or the folder cannot be written; nothing is left behind.
 */
export async function writeFileAtomically(path: string, ...parts: (Uint8Array | string)[]): Promise<void> {
  await writeFilesAtomically([{ path, parts }]);
}

/**
 * Writes files that belong together: all are on the disk, beside their targets, before the first is renamed.
 * @throws UserError `write-failed` when one cannot be written; then none is, and no folder is left that was made for them.
 */
export async function writeFilesAtomically(files: readonly FileContent[]): Promise<void> {
  const written: { path: string; beside: string }[] = [];
  const made: string[] = [];
  let current = '';
  const forget = onExit(() => {
    for (const { beside } of written) rmSync(beside, { force: true });
  });
  try {
    for (const { path, parts } of files) {
      current = path;
      made.push(...(await makeFolder(dirname(path))));
      await removeAbandoned(path);
      const beside = partialPath(path);
      written.push({ path, beside });
      const file = await open(beside, 'w');
      try {
        for (const part of parts) await file.appendFile(part);
        await file.sync();
      } finally {
        await file.close();
      }
    }
    for (const { path, beside } of written) {
      current = path;
      await rename(beside, path);
    }
  } catch (cause) {
    for (const { beside } of written) await rm(beside, { force: true }).catch(() => undefined);
    for (const folder of made.reverse()) await rmdir(folder).catch(() => undefined);
    throw writeFailed(current, cause);
  } finally {
    forget();
  }
}

/**
 * Looks at the place where something is to be written: better before the work than after.
 * @param inputs files that the work reads. What else lies at the place of a file is replaced.
 * @throws UserError `write-failed` where a file is to be and a folder is, or the other way round; `bad-arguments` where an input is.
 */
export async function checkPlace(path: string, kind: 'file' | 'folder', inputs: readonly string[] = []): Promise<void> {
  if (inputs.some((input) => isSameFile(path, input)))
    throw new UserError('bad-arguments', `${path} is read here, and would be replaced; name another ${kind} (‹out›)`);
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => kind === 'folder',
  );
  if (isFolder !== (kind === 'folder'))
    throw new UserError(
      'write-failed',
      `cannot write ${path}: it is a ${isFolder ? 'folder' : 'file'}; name a ${kind} (‹out›)`,
    );
}

/** The error for a file that cannot be written: what failed, and what to do about it. */
export function writeFailed(path: string, cause: unknown, verb = 'write'): UserError {
  return new UserError('write-failed', `cannot ${verb} ${path}: ${fileReason(cause)}; ${remedyOf(cause)}`, { cause });
}

function remedyOf(cause: unknown): string {
  switch (fileErrorCode(cause)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'free some space, or choose a folder on another disk (‹out›)';
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return 'choose a folder that you may write to (‹out›)';
    default:
      return 'choose another folder (‹out›)';
  }
}

/**
 * Makes a folder and those above it, and gives the ones that were missing, outermost first. Node's recursive `mkdir` says ENOENT where
 * the disk is read-only, and tries for ever where no folder can be made in one that is there, as in /proc.
 */
export async function makeFolder(folder: string): Promise<string[]> {
  try {
    await mkdir(folder);
    return [folder];
  } catch (thrown) {
    const code = fileErrorCode(thrown);
    if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return [];
    if (code !== 'ENOENT' || dirname(folder) === folder) throw thrown;
  }
  const above = await makeFolder(dirname(folder));
  try {
    await mkdir(folder);
    return [...above, folder];
  } catch (thrown) {
    // Another process may have made it meanwhile.
    if (fileErrorCode(thrown) === 'EEXIST' && (await stat(folder)).isDirectory()) return above;
    for (const each of above.reverse()) await rmdir(each).catch(() => undefined);
    throw thrown;
  }
}

/** {@link makeFolder}, synchronously. */
export function makeFolderSync(folder: string): string[] {
  try {
    mkdirSync(folder);
    return [folder];
  } catch (thrown) {
    const code = fileErrorCode(thrown);
    if (code === 'EEXIST' && statSync(folder).isDirectory()) return [];
    if (code !== 'ENOENT' || dirname(folder) === folder) throw thrown;
  }
  const above = makeFolderSync(dirname(folder));
  try {
    mkdirSync(folder);
    return [...above, folder];
  } catch (thrown) {
    // Another process may have made it meanwhile.
    if (fileErrorCode(thrown) === 'EEXIST' && statSync(folder).isDirectory()) return above;
    for (const each of above.reverse()) removeIfEmpty(each);
    throw thrown;
  }
}

/** Removes a folder in which nothing is; any other stays. */
export function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // It is not empty, or not there, or not ours to remove.
  }
}

/** Whether both are there and the same, under two names or through a link too. */
export function isSameFile(a: string, b: string): boolean {
  const [one, other] = [a, b].map((path) => ifThere(() => statSync(path, { bigint: true })));
  return one !== undefined && other !== undefined && one.dev === other.dev && one.ino === other.ino;
}

/** Whether there is a folder, and no link to one. */
export function isFolderItself(path: string): boolean {
  return ifThere(() => lstatSync(path))?.isDirectory() === true;
}

/** What `look` finds; undefined where nothing is, be it that a file is in a folder's place. */
function ifThere<Found>(look: () => Found): Found | undefined {
  try {
    return look();
  } catch (thrown) {
    if (['ENOENT', 'ENOTDIR'].includes(fileErrorCode(thrown) ?? '')) return undefined;
    throw thrown;
  }
}

/**
 * Looks whether a folder that is to be written lies apart from the photos, among which it would be taken for a class.
 * @param data where the photos are, which need not be a folder.
 * @param kind what is to be written, and the setting that says where.
 * @throws UserError `bad-arguments`.
 */
export function checkApart(folder: string, data: string, kind: 'folder' | 'runs' | 'page' = 'folder'): void {
  const photos = ifThere(() => realpathSync(data));
  if (photos === undefined || !isFolderItself(photos)) return;
  let above = resolve(folder);
  let real = ifThere(() => realpathSync(above));
  while (real === undefined && dirname(above) !== above) {
    above = dirname(above);
    real = ifThere(() => realpathSync(above));
  }
  if (real === photos || real?.startsWith(photos.endsWith(sep) ? photos : `${photos}${sep}`) === true)
    throw new UserError(
      'bad-arguments',
      kind !== 'page'
        ? `${folder} lies in the folder of the photos, ${data}, and would be taken for a class there; choose another folder (‹${kind === 'runs' ? 'runs' : 'out'}›)`
        : `${folder} lies in the folder of the photos, ${data}, where nothing is to be written; choose another place (‹html›)`,
    );
}

/** The file system's message without the call and the path that Node puts behind it. */
export function fileReason(thrown: unknown): string {
  const message = messageOf(thrown);
  return fileErrorCode(thrown) === undefined ? message : message.replace(/, [a-z]+(?: '.*')?$/s, '');
}

/** The most bytes of what a person writes, such as settings; of what a program writes for another, such as a log; of what Node.js reads at once. */
export const MOST_BYTES = { settings: 2 ** 20, record: 2 ** 28, file: 2 ** 31 - 1 } as const;
/** So that a pipe without a writer is opened at once, to be refused. Windows has no such flag. */
const READ = constants.O_RDONLY | (process.platform === 'win32' ? 0 : constants.O_NONBLOCK);

/**
 * The bytes of a regular file: of a pipe or a device there may be no end.
 * @throws the file system's error, or one whose message says what `path` is in place of a file of up to `mostBytes`.
 */
export async function readRegularFile(path: string | Buffer, mostBytes: number): Promise<Buffer> {
  const file = await open(path, READ);
  try {
    const bytes = bufferFor(await file.stat(), mostBytes);
    let filled = 0;
    for (let count = -1; count !== 0 && filled < bytes.length; filled += count)
      ({ bytesRead: count } = await file.read(bytes, filled));
    return bytes.subarray(0, filled);
  } finally {
    await file.close();
  }
}

/** {@link readRegularFile}, synchronously. */
export function readRegularFileSync(path: string, mostBytes: number): Buffer {
  const file = openSync(path, READ);
  try {
    const bytes = bufferFor(fstatSync(file), mostBytes);
    let filled = 0;
    for (let count = -1; count !== 0 && filled < bytes.length; filled += count)
      count = readSync(file, bytes, filled, bytes.length - filled, null);
    return bytes.subarray(0, filled);
  } finally {
    closeSync(file);
  }
}

/** Room for a file's bytes. */
function bufferFor(found: Stats, mostBytes: number): Buffer {
  if (found.isDirectory()) throw new Error('it is a folder');
  if (!found.isFile()) throw new Error('it is no regular file, but a pipe or a device');
  if (found.size > mostBytes)
    throw new Error(`it holds ${found.size} bytes, and ort-tl reads up to ${mostBytes} of it`);
  // Large ones must not come from the pool that others share.
  return Buffer.allocUnsafeSlow(found.size);
}

/** Hexadecimal SHA-256 of `parts`, one after another. */
export function sha256(...parts: Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

/** The file system's code, such as `ENOENT`; undefined for any other error. */
export function fileErrorCode(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
}
