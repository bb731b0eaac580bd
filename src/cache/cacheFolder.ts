import { type Dirent } from 'node:fs';
import { readdir, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, UserError } from '../errors.js';
import { freeBytesOf, SPARE_BYTES } from '../disk.js';
import { makeFolder } from '../files.js';
import { LAYOUT_FILE, readLayout } from './featureStore.js';
import { isIndex, rowsOfIndex } from './segment.js';

export interface CacheEntry {
  /** The name of its folder, by which it is removed. */
  readonly name: string;
  readonly folder: string;
  readonly model: string;
  readonly policy: string;
  /** Photos, or views of them, whose rows it holds. */
  readonly rows: number;
  readonly bytes: number;
  readonly lastUsed: Date;
}

/** What lies in a cache folder, the last used first. A folder that is not there is empty. */
export async function listCache(root: string): Promise<CacheEntry[]> {
  const found = await Promise.all((await foldersIn(root)).map((name) => entryOf(join(root, name), name)));
  return found
    .filter((entry) => entry !== undefined)
    .sort((a, b) => b.lastUsed.getTime() - a.lastUsed.getTime() || (a.name < b.name ? -1 : 1));
}

/**
 * What a store's folder holds: its rows, what tells of them, and what is being written of that. `frozen-batch.json` nobody writes any more; stores
 * of before have it.
 */
const OURS = /^(?:[0-9a-z]+-[0-9a-f]{12}\.[a-z]+|(?:layout|frozen-batch)\.json)(?:\.[0-9a-f]{8}\.partial)?$/;

/**
 * Removes entries, and leaves what else lies in their folders. A run that reads one keeps its open files, and computes again what it
 * lacks later. What tells of an entry goes last: where the removal is cut off, the rest is still listed, and can be removed.
 */
export async function removeFromCache(entries: readonly CacheEntry[]): Promise<void> {
  for (const { folder } of entries) {
    const names = (await readdir(folder).catch(() => [])).filter((name) => OURS.test(name));
    for (const name of names.filter((each) => each !== LAYOUT_FILE)) await rm(join(folder, name), { force: true });
    await rm(join(folder, LAYOUT_FILE), { force: true });
    await rmdir(folder).catch(() => undefined);
  }
}

/** Chooses from `entries`, the last used first, those to remove so that the others are no older and take no more bytes than they may. */
export function prunable(
  entries: readonly CacheEntry[],
  { maxBytes = Infinity, usedSince }: { readonly maxBytes?: number; readonly usedSince?: Date },
): CacheEntry[] {
  let kept = 0;
  return entries.filter(({ bytes, lastUsed }) => {
    const isKept = (usedSince === undefined || lastUsed >= usedSince) && kept + bytes <= maxBytes;
    if (isKept) kept += bytes;
    return !isKept;
  });
}

/**
 * The bytes that are free on the disk of `folder`, which is made if need be.
 * @throws UserError `cache-full` when `needed` bytes would not leave 256 MB of them, or the folder cannot be made.
 */
export async function checkSpace(folder: string, needed: number): Promise<number> {
  const advice = 'choose another folder (‹cache›), make room (ort-tl cache prune), or do without (‹noCache›)';
  let free: number;
  try {
    await makeFolder(folder);
    free = freeBytesOf(folder);
  } catch (cause) {
    throw new UserError('cache-full', `cannot use ${folder} as the cache: ${messageOf(cause)}; ${advice}`, { cause });
  }
  const megabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`;
  if (needed > 0 && needed + SPARE_BYTES > free)
    throw new UserError(
      'cache-full',
      `the features of the photos take ${megabytes(needed)}, and ${folder} has ${megabytes(free)} free; ${advice}, or halve them (‹boundaryDtype› float16)`,
    );
  return free;
}

async function foldersIn(root: string): Promise<string[]> {
  const inside: Dirent[] = await readdir(root, { withFileTypes: true }).catch(() => []);
  return inside.filter((each) => each.isDirectory()).map(({ name }) => name);
}

async function entryOf(folder: string, name: string): Promise<CacheEntry | undefined> {
  const layout = readLayout(folder);
  if (!layout) return undefined;
  const files = await Promise.all(
    // A file may vanish meanwhile: another process makes one of many.
    (await readdir(folder)).map(async (file) => ({ file, bytes: await sizeOf(join(folder, file)) })),
  );
  const sum = (some: typeof files) => some.reduce((total, { bytes }) => total + bytes, 0);
  const { mtime } = await stat(join(folder, LAYOUT_FILE));
  return {
    name,
    folder,
    model: layout.model,
    policy: layout.policy,
    rows: rowsOfIndex(sum(files.filter(({ file }) => isIndex(file)))),
    bytes: sum(files),
    lastUsed: mtime,
  };
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}
