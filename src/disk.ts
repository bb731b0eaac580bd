import { statfsSync } from 'node:fs';

/** What a disk keeps free for others: a full one breaks more than a cache. */
export const SPARE_BYTES = 256 * 2 ** 20;

/** The bytes that are free on the disk of `folder`. */
export function freeBytesOf(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
