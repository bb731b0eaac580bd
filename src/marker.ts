import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { type FileContent, isFolderItself, writeFailed } from './files.js';
import { packageVersion } from './version.js';

/** What ort-tl has folders for that it may clear or replace some day. */
export type Purpose = 'run' | 'next-run' | 'suite' | 'suite-work' | 'temporary' | 'transformers-js' | 'incoming';

/** To be raised when a folder with the marker has to be read in another way. */
const FORMAT = 1;

const schema = z.object({ ortTl: z.string(), purpose: z.string(), format: z.number() });

/** The file that says so of its folder. */
export const markerIn = (folder: string, purpose: Purpose): string => join(folder, `.ort-tl-${purpose}.json`);

/** The marker of a folder whose files are written together with it. */
export function markerFile(folder: string, purpose: Purpose): FileContent {
  const marker = { ortTl: packageVersion, purpose, format: FORMAT } satisfies z.infer<typeof schema>;
  return { path: markerIn(folder, purpose), parts: [`${JSON.stringify(marker)}\n`] };
}

/** Marks a folder as ort-tl's: nothing is ever cleared that has no marker. @throws UserError `write-failed`. */
export function mark(folder: string, purpose: Purpose): void {
  const { path, parts } = markerFile(folder, purpose);
  try {
    writeFileSync(path, parts.join(''));
  } catch (cause) {
    // A part of it would be in the way.
    rmSync(path, { force: true });
    throw writeFailed(path, cause);
  }
}

/** Whether ort-tl made the folder for `purpose`. */
export function isMarked(folder: string, purpose: Purpose): boolean {
  try {
    return schema.parse(JSON.parse(readFileSync(markerIn(folder, purpose), 'utf8'))).purpose === purpose;
  } catch {
    return false;
  }
}

/** Whether ort-tl made the folder for `purpose`, and there is a folder and no link to one, which could lie anywhere. */
export function isOwnFolder(folder: string, purpose: Purpose): boolean {
  return isFolderItself(folder) && isMarked(folder, purpose);
}

/** Something may still arrive in a folder that is being removed. */
const REMOVAL = { recursive: true, force: true, maxRetries: 3, retryDelay: 10 } as const;

/** Removes a marked folder, its marker last: what a signal, or who still writes there, leaves of it is known as ort-tl's later. */
export async function removeMarked(folder: string, purpose: Purpose): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const path of unmarkedIn(folder, purpose, names)) await rm(path, REMOVAL);
  await rm(folder, REMOVAL);
}

/** {@link removeMarked}, synchronously. */
export function removeMarkedSync(folder: string, purpose: Purpose): void {
  for (const path of unmarkedIn(folder, purpose, readdirSync(folder))) rmSync(path, REMOVAL);
  rmSync(folder, REMOVAL);
}

function unmarkedIn(folder: string, purpose: Purpose, names: readonly string[]): string[] {
  const marker = basename(markerIn(folder, purpose));
  return names.filter((name) => name !== marker).map((name) => join(folder, name));
}
