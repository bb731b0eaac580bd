import { randomBytes } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

const ENDING = /\.[0-9a-f]{8}\.partial$/;
/** What nobody has written to for so long was left by a process that was killed. */
const ABANDONED_MS = 3_600_000;

/** Names of partial files by their folder, which is looked at once. */
const found = new Map<string, Promise<readonly string[]>>();

/** Where a file is written before it is moved to `path`; no two processes use the same. */
export function partialPath(path: string): string {
  return `${path}.${randomBytes(4).toString('hex')}.partial`;
}

/** Removes what killed processes have left of files that were to become `path`: those that are older than an hour. */
export async function removeAbandoned(path: string): Promise<void> {
  const folder = dirname(resolve(path));
  const names = found.get(folder) ?? partialFilesIn(folder);
  found.set(folder, names);
  for (const name of await names) {
    if (name.replace(ENDING, '') !== basename(path)) continue;
    const partial = join(folder, name);
    const isAbandoned = await stat(partial).then(
      ({ mtimeMs }) => Date.now() - mtimeMs > ABANDONED_MS,
      () => false,
    );
    if (isAbandoned) await rm(partial, { force: true }).catch(() => undefined);
  }
}

async function partialFilesIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => ENDING.test(name));
}
