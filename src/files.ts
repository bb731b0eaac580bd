import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, UserError } from './errors.js';

/**
 * Writes `parts` to `path` beside the target, flushes, and renames: readers see the old file or the whole new one.
 * @throws UserError `write-failed` when the disk is full or the folder cannot be written; nothing is left behind.
 */
export async function writeFileAtomically(path: string, ...parts: (Uint8Array | string)[]): Promise<void> {
  const beside = `${path}.${randomBytes(4).toString('hex')}.partial`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(beside, 'w');
    try {
      for (const part of parts) await file.appendFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (cause) {
    await rm(beside, { force: true }).catch(() => undefined);
    throw new UserError(
      'write-failed',
      `cannot write ${path}: ${messageOf(cause)}; free some space or choose another folder (--out)`,
      {
        cause,
      },
    );
  }
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
