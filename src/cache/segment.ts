import { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileErrorCode } from '../files.js';
import { machineErrorOf } from '../machineError.js';

/** The files of a segment, by what follows its name: rows, what tells of them, and the mark that nobody adds to them any more. */
export const ROWS = '.rows';
export const INDEX = '.index';
export const SEALED = '.sealed';

/** An entry of an index: the row's key, its CRC-32, and four bytes that are zero. */
const KEY_BYTES = 32;
export const ENTRY_BYTES = KEY_BYTES + 8;

/** How many rows the index files of a store, of so many bytes, tell of. */
export const rowsOfIndex = (bytes: number) => Math.floor(bytes / ENTRY_BYTES);
export const isIndex = (name: string) => name.endsWith(INDEX);

/** Rows one behind another, as their index tells of them. */
export interface SegmentIndex {
  /** 64 hexadecimal digits each. */
  readonly keys: readonly string[];
  readonly checksums: readonly number[];
  /** Whether the rows are fewer than the index tells of: they were cut off, or have not all arrived. */
  readonly isShort: boolean;
}

/** The names of the segments in `folder`, the oldest first; none where somebody has removed it. */
export function segmentsIn(folder: string): string[] {
  return namesIn(folder)
    .filter(isIndex)
    .map((name) => name.slice(0, -INDEX.length))
    .sort();
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (thrown) {
    if (fileErrorCode(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}

/**
 * What a segment holds, as far as both of its files tell; nothing where they cannot be read. `vanished` where it is there no longer:
 * its rows are in another one.
 * @throws MachineError where no more files can be opened.
 */
export function readSegment(folder: string, name: string, rowBytes: number): SegmentIndex | 'vanished' {
  const path = join(folder, name);
  try {
    const index = readFileSync(path + INDEX);
    const rows = Math.floor(bytesOfOpened(path + ROWS) / rowBytes);
    const told = rowsOfIndex(index.length);
    const count = Math.min(rows, told);
    const places = Array.from({ length: count }, (_, row) => row * ENTRY_BYTES);
    return {
      keys: places.map((at) => index.toString('hex', at, at + KEY_BYTES)),
      checksums: places.map((at) => index.readUInt32LE(at + KEY_BYTES)),
      isShort: rows < told,
    };
  } catch (thrown) {
    const machine = machineErrorOf(thrown);
    if (machine) throw machine;
    // The index goes first.
    if (isGone(thrown) && !existsSync(path + INDEX)) return 'vanished';
    return { keys: [], checksums: [], isShort: true };
  }
}

/** A file's size as its server knows it: what was looked up without being opened may be remembered from before, on a network's disk. */
function bytesOfOpened(path: string): number {
  const file = openSync(path, 'r');
  try {
    return fstatSync(file).size;
  } finally {
    closeSync(file);
  }
}

/** Whether a file is there no longer; of one that another machine has removed from a network's disk, that says ESTALE. */
export const isGone = (thrown: unknown): boolean => ['ENOENT', 'ESTALE'].includes(fileErrorCode(thrown) ?? '');

/** The entry of an index. */
export function entryOf(key: string, checksum: number): Buffer {
  const entry = Buffer.alloc(ENTRY_BYTES);
  entry.write(key, 'hex');
  entry.writeUInt32LE(checksum, KEY_BYTES);
  return entry;
}
