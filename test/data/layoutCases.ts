import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Dataset, OpenOptions } from '../../src/data/dataset.js';
import { openDataset } from '../../src/data/openDataset.js';
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

/** `cat*3 dog*2.heic README.md`: three photos in `cat`, two files in `dog`, and one file. */
export function filesOf(layout: string): Map<string, Buffer> {
  const paths = layout.split(' ').flatMap((word) => {
    const [, at = '', count = '', extension = '.jpg'] = /^(.*)\*(\d+)(\.\w+)?$/.exec(word) ?? [];
    return at === '' ? [word] : Array.from({ length: Number(count) }, (_, index) => `${at}/${index}${extension}`);
  });
  return new Map(paths.map((path) => [path, /\.(jpg|png)$/.test(path) ? JPEG : Buffer.from('text')]));
}

/** What holds a layout. */
export const KINDS = ['folder', 'zip'] as const;

/** Writes a layout into `folder` as a folder or a zip file, and opens it. */
export async function openAs(
  kind: (typeof KINDS)[number],
  folder: string,
  layout: string,
  options: OpenOptions = {},
): Promise<Dataset> {
  const source = join(folder, kind === 'zip' ? 'set.zip' : 'set');
  rmSync(source, { recursive: true, force: true });
  if (kind === 'zip') writeFileSync(source, zipOf(filesOf(layout)));
  else writeAll(source, filesOf(layout));
  return openDataset(source, options);
}

/** `a 3 b 3 | a 1 b 1 | a 2`: the photos of each class that train, validate, and are kept for testing. */
export function countsOf({ classes, train, val, test = [] }: Dataset): string {
  const counts = (photos: Dataset['train']) =>
    classes.flatMap((name, label) => {
      const count = photos.filter((photo) => photo.label === label).length;
      return count === 0 ? [] : [`${name} ${count}`];
    });
  return [train, val, test]
    .map((photos) => counts(photos).join(' '))
    .join(' | ')
    .replaceAll(/ +/g, ' ')
    .trim();
}

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
