import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fstatSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { fileErrorCode, writeFileAtomically } from '../files.js';
import { freeBytesOf, SPARE_BYTES } from '../disk.js';
import { entryOf, INDEX, readSegment, ROWS, SEALED, type SegmentIndex, segmentsIn } from './segment.js';
import { readAll, writeAll } from './vectored.js';

/** Segments that a store may have before small ones become one, and how many are left then. */
const MOST_SEGMENTS = 8;
const LEFT_SEGMENTS = 4;
/** Larger ones are left as they are: copying them takes longer than opening them. */
const SMALL_BYTES = 64 * 2 ** 20;
/** What is copied at most before a run begins. */
const MOST_BYTES = 512 * 2 ** 20;
/** Who has not added to a segment for so long will not do so any more (see {@link FeatureStore}): it ended without sealing it. */
const ABANDONED_MS = 24 * 3600_000;
/** Bytes copied at a time, at least one row. */
const BLOCK_BYTES = 2 ** 20;
/** Names of files of ours: of a segment, or of an index or what tells of the store that was being written. */
const OURS =
  /^(?:[0-9a-z]+-[0-9a-f]{12}\.(?:rows|sealed)|(?:[0-9a-z]+-[0-9a-f]{12}\.index|(?:layout|frozen-batch)\.json)\.[0-9a-f]{8}\.partial)$/;

/** A name for a new segment; later ones stand behind. */
export const newSegmentName = () => `${Date.now().toString(36)}-${randomBytes(6).toString('hex')}`;

interface Small {
  readonly name: string;
  readonly bytes: number;
  /** Whether whoever wrote it has said that it is whole. */
  readonly isSealed: boolean;
}

/**
 * Makes one segment of many small ones that nobody adds to any more, and removes what killed processes have left. Several processes may
 * do so at once, and each may be killed: a segment is removed only after its whole rows are on the disk in another one, so that a row is
 * there once or twice, never not at all. Where that fails, as on a full or read-only disk, all stays as it was.
 * @param given the time, where it is not what the disk says that it is.
 */
export async function compactSegments(folder: string, rowBytes: number, given?: number): Promise<void> {
  try {
    const left = leftovers(folder);
    const names = segmentsIn(folder);
    if (left.length === 0 && names.length <= MOST_SEGMENTS) return;
    const now = given ?? timeOfDisk(folder);
    removeLeftovers(folder, left, now);
    if (names.length <= MOST_SEGMENTS) return;
    let bytes = 0;
    const small = names
      .flatMap((name) => smallSegment(join(folder, name), name, now) ?? [])
      .sort((a, b) => a.bytes - b.bytes)
      .slice(0, names.length - LEFT_SEGMENTS + 1)
      .filter((each) => (bytes += each.bytes) <= MOST_BYTES);
    if (small.length < 2 || freeBytesOf(folder) < bytes + SPARE_BYTES) return;
    const merged = await merge(folder, rowBytes, small);
    for (const name of merged) for (const ending of [INDEX, SEALED, ROWS]) remove(join(folder, name + ending));
  } catch {
    // Many segments are slower to open than few, and nothing worse.
  }
}

function smallSegment(path: string, name: string, now: number): Small | undefined {
  const [rows, index] = [ROWS, INDEX].map((ending) => statSync(path + ending, { throwIfNoEntry: false }));
  if (!rows || !index || !OURS.test(name + ROWS) || rows.size > SMALL_BYTES) return undefined;
  const isSealed = existsSync(path + SEALED);
  const isDone = isSealed || isOld(Math.max(rows.mtimeMs, index.mtimeMs), now);
  return isDone ? { name, bytes: rows.size, isSealed } : undefined;
}

/**
 * The time by which the disk dates files, in milliseconds: on a network's, this machine's clock, and that of whoever writes there, may be hours
 * off. @throws the file system's error where nothing can be written.
 */
function timeOfDisk(folder: string): number {
  const path = join(folder, newSegmentName() + ROWS);
  const file = openSync(path, 'wx');
  try {
    writeSync(file, ' ');
    return fstatSync(file).mtimeMs;
  } finally {
    closeSync(file);
    rmSync(path, { force: true });
  }
}

const isOld = (mtimeMs: number, now: number) => now - mtimeMs > ABANDONED_MS;

/** Copies the whole rows of segments into a new one, each key once. Gives the names of those that were read to their ends. */
async function merge(folder: string, rowBytes: number, segments: readonly Small[]): Promise<string[]> {
  const path = join(folder, newSegmentName());
  const entries = new Map<string, Buffer>();
  const merged: string[] = [];
  try {
    const rows = await open(path + ROWS, 'wx');
    try {
      for (const { name, isSealed } of segments) {
        const index = readSegment(folder, name, rowBytes);
        if (index === 'vanished' || (isSealed && index.isShort)) continue;
        if (await copy(join(folder, name + ROWS), index, rowBytes, rows, entries)) merged.push(name);
      }
      await rows.sync();
    } finally {
      await rows.close();
    }
    if (entries.size === 0) {
      remove(path + ROWS);
      return merged;
    }
    await writeFileAtomically(path + SEALED, '');
    // From here on others see it.
    await writeFileAtomically(path + INDEX, Buffer.concat([...entries.values()]));
    return merged;
  } catch (thrown) {
    for (const ending of [INDEX, SEALED, ROWS]) remove(path + ending);
    throw thrown;
  }
}

/** Adds the rows of a file that are what their index says to those of `entries`. Tells whether it could be read. */
async function copy(
  path: string,
  { keys, checksums }: SegmentIndex,
  rowBytes: number,
  to: FileHandle,
  entries: Map<string, Buffer>,
): Promise<boolean> {
  let from: FileHandle;
  try {
    from = await open(path);
  } catch {
    return false;
  }
  try {
    const rowsAtOnce = Math.max(1, Math.floor(BLOCK_BYTES / rowBytes));
    for (let first = 0; first < keys.length; first += rowsAtOnce) {
      const block = Buffer.alloc(Math.min(rowsAtOnce, keys.length - first) * rowBytes);
      const bytes = await readAll(from.fd, [block], first * rowBytes).catch(() => -1);
      if (bytes < block.length) return false;
      const whole: Buffer[] = [];
      const position = entries.size * rowBytes;
      for (let row = 0; row * rowBytes < block.length; row++) {
        const [key = '', checksum = 0] = [keys[first + row], checksums[first + row]];
        const content = block.subarray(row * rowBytes, (row + 1) * rowBytes);
        if (entries.has(key) || crc32(content) !== checksum) continue;
        entries.set(key, entryOf(key, checksum));
        whole.push(content);
      }
      const written = await writeAll(to, whole, position);
      if (written < whole.length * rowBytes) throw new Error('the disk is full');
    }
    return true;
  } finally {
    await from.close();
  }
}

/** What a process that was killed while it made or removed a segment may have left, unless it is under way still. */
function leftovers(folder: string): string[] {
  const names = new Set(readdirSync(folder));
  const isPart = (name: string) => /\.(?:rows|sealed)$/.test(name) && names.has(name.replace(/\.[a-z]+$/, INDEX));
  return [...names].filter((name) => OURS.test(name) && !isPart(name));
}

/** Removes those that are old. */
function removeLeftovers(folder: string, names: readonly string[], now: number): void {
  for (const name of names) {
    const { mtimeMs = now } = statSync(join(folder, name), { throwIfNoEntry: false }) ?? {};
    if (isOld(mtimeMs, now)) remove(join(folder, name));
  }
}

/** What another process has open may stay, on Windows: it is removed another time. */
function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (thrown) {
    if (fileErrorCode(thrown) === undefined) throw thrown;
  }
}
