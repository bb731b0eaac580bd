import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Dataset } from '../../src/data/dataset.js';
import { zipFile } from './zipFile.js';

/** What a JPEG begins with; a data set is opened without decoding its photos. */
export const JPEG = Buffer.from('ffd8ffe000104a464946', 'hex');

/** Writes files, each with its content; at once, since many small ones would wait for each other. */
export function writeAll(folder: string, files: ReadonlyMap<string, Buffer>): void {
  const made = new Set<string>();
  for (const [path, content] of files) {
    const at = join(folder, path);
    if (!made.has(dirname(at))) mkdirSync(dirname(at), { recursive: true });
    made.add(dirname(at));
    writeFileSync(at, content);
  }
}

export const zipOf = (files: ReadonlyMap<string, Buffer>) =>
  zipFile([...files].map(([name, content]) => ({ name, content, stored: true })));

/** Split → class → the paths of its photos below `folder`. */
export function membersOf({
  classes,
  train,
  val,
  test = [],
  folder,
}: Dataset): Record<string, Record<string, string[]>> {
  const byClass = (photos: Dataset['train']) =>
    Object.fromEntries(
      classes.flatMap((name, label) => {
        const paths = photos.filter((photo) => photo.label === label).map(({ path }) => path.slice(folder.length + 1));
        return paths.length === 0 ? [] : [[name, paths.sort()]];
      }),
    );
  return { train: byClass(train), val: byClass(val), test: byClass(test) };
}

/** Whether everything that was found is in a split or left out. */
export function addsUp({ train, val, test = [], contents }: Dataset): boolean {
  const leftOut = Object.values(contents?.leftOut ?? {}).reduce((sum, count) => sum + count, 0);
  return contents?.found === train.length + val.length + test.length + leftOut;
}

export function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(target, path);
}

export const makePipe = (path: string) => execFileSync('mkfifo', [path]);
