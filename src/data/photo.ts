import { UserError } from '../errors.js';
import { fileReason, readRegularFile, sha256 } from '../files.js';
import { readCifarRecord } from './cifar.js';
import type { Unlabelled } from './dataset.js';
import { readZipEntry } from './zip.js';

/** uint8 RGB, row by row, [height, width, 3]. */
export interface Picture {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** What a photo consists of: an encoded file's bytes, or pixels. */
export type PhotoContent = Buffer | Picture;

/** A file of more bytes is no photo. */
const LARGEST_PHOTO_BYTES = 2 ** 30;

/** @throws UserError `unreadable-photo`. */
export async function readPhoto({ path, inside }: Unlabelled): Promise<PhotoContent> {
  try {
    if (inside?.kind === 'zip') return await readZipEntry(inside);
    if (inside?.kind === 'cifar') return await readCifarRecord(inside);
    const bytes = await readRegularFile(path, LARGEST_PHOTO_BYTES);
    if (bytes.length === 0) throw new Error('it is empty');
    return bytes;
  } catch (cause) {
    throw new UserError('unreadable-photo', `cannot read ${path}: ${fileReason(cause)}`, { cause });
  }
}

/** Hexadecimal SHA-256: the same for the same content, whatever it is called and wherever it lies. */
export function contentHash(content: PhotoContent): string {
  return sha256('pixels' in content ? content.pixels : content);
}
