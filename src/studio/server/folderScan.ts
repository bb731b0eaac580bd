import { type Stats, stat } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UserError } from '../../errors.js';
import { sha256 } from '../../files.js';
import { visible } from '../../text.js';
import { type ClassPlaces, type Dataset, findClassPlaces, openDataset, type Photo } from '../../index.js';
import type { StudioSplit, StudioClass, StudioPhoto } from '../api.js';
import { isInside } from './photoPath.js';

/** As `ort-tl train` splits photos unless it is told otherwise. What it refuses for the name of one folder is shown without that. */
const OPTIONS = { seed: 0, misnamed: 'left out' } as const;
/** Files that are looked at together. */
const AT_ONCE = 1000;

export interface ScannedPhoto extends StudioPhoto {
  readonly bytes: number;
}

/** What was found in the folder of photos. */
export interface FolderState {
  /** Its photos of known classes, as a training sees them; absent where no class has any. */
  readonly dataset?: Dataset;
  /** Why it cannot be trained on. */
  readonly problem?: UserError;
  /** What a training refuses, and is left out here. */
  readonly misnamed?: UserError;
  /** Of what is otherwise than one may think, a line each. */
  readonly warnings: readonly string[];
  readonly places: ClassPlaces;
  readonly classes: readonly StudioClass[];
  /** A class → its photos, by path. */
  readonly photos: ReadonlyMap<string, readonly ScannedPhoto[]>;
  /** Folders whose changes concern it, from the working folder on. */
  readonly folders: readonly string[];
  /** The same for the same photos in the same classes and splits. */
  readonly print: string;
}

/** Looks at a folder as a training would. What is wrong with it comes as a `problem`. */
export async function scanFolder(folder: string): Promise<FolderState> {
  const opened = await open(folder);
  const { dataset } = opened;
  const places = await findClassPlaces(folder, dataset);
  const photos = new Map<string, ScannedPhoto[]>([...places.folders.keys()].sort().map((name) => [name, []]));
  const { classes = [], train = [], val = [], test = [] } = dataset ?? {};
  for (const [split, some] of [
    ['train', train],
    ['validate', val],
    ['test', test],
  ] as const)
    for (const { label, ...photo } of await scanPhotos(folder, some, split))
      photos.get(classes[label] ?? '')?.push(photo);
  for (const all of photos.values()) all.sort((a, b) => (a.path < b.path ? -1 : 1));
  const [odd] = places.misnamed;
  return {
    ...opened,
    ...(odd === undefined ? {} : { misnamed: misnamed(folder, odd) }),
    warnings: await linksOut(folder, places),
    places,
    classes: [...photos].map(([name, all]) => ({
      name,
      photos: all.length,
      validate: all.filter(({ split }) => split === 'validate').length,
      test: all.filter(({ split }) => split === 'test').length,
    })),
    photos,
    folders: foldersOf(folder, places, [...train, ...val, ...test]),
    print: printOf(photos),
  };
}

function misnamed(folder: string, path: string): UserError {
  return new UserError(
    'bad-class-name',
    `no class can be called as the folder ${visible(join(folder, path))} is, whose photos are left out here and refused by a training: ${
      path.includes('\ufffd') ? 'that is not UTF-8' : 'it has a line break or another control character'
    }; rename it`,
  );
}

/** Class folders whose photos train, and are not shown, since they lie elsewhere. */
async function linksOut(folder: string, { folders }: ClassPlaces): Promise<string[]> {
  const lines: string[] = [];
  for (const path of [...folders.values()].flat()) {
    const place = join(folder, path);
    const isLink = await lstat(place).then(
      (found) => found.isSymbolicLink(),
      () => false,
    );
    if (isLink && !(await isInside(folder, place)))
      lines.push(
        `${visible(place)} is a link that leads out of the folder of photos: its photos train, but are not shown`,
      );
  }
  return lines;
}

type Opened = Pick<FolderState, 'dataset' | 'problem'>;

async function open(folder: string): Promise<Opened> {
  try {
    return { dataset: checked(await openDataset(folder, OPTIONS), folder) };
  } catch (problem) {
    if (!(problem instanceof UserError)) throw problem;
    try {
      return { dataset: checked(await openDataset(folder, { ...OPTIONS, use: 'measuring' }), folder), problem };
    } catch (thrown) {
      if (!(thrown instanceof UserError)) throw thrown;
      // It is the first one that says what to do, unless it is of another kind altogether.
      return { problem: thrown.code === 'unknown-data' ? thrown : problem };
    }
  }
}

/** @throws UserError `unknown-data` for photos that are no files in class folders. */
function checked(dataset: Dataset, folder: string): Dataset {
  const what =
    dataset.task === 'labels'
      ? 'annotations (COCO or YOLO)'
      : [...dataset.train, ...dataset.val, ...(dataset.test ?? [])].some(({ inside }) => inside !== undefined)
        ? "CIFAR's files"
        : undefined;
  if (what !== undefined)
    throw new UserError(
      'unknown-data',
      `${folder} holds ${what}, and the studio keeps photos in a folder for each class; train on it with ort-tl train, or name another folder (‹data›)`,
    );
  return dataset;
}

async function scanPhotos(
  folder: string,
  photos: readonly Photo[],
  split: StudioSplit,
): Promise<(ScannedPhoto & { readonly label: number })[]> {
  const base = join(folder, 'x').length - 1;
  const result: (ScannedPhoto & { label: number })[] = [];
  for (let at = 0; at < photos.length; at += AT_ONCE) {
    const some = photos.slice(at, at + AT_ONCE);
    const found = await Promise.all(some.map(statOf));
    for (const [index, { path, label }] of some.entries()) {
      const file = found[index];
      // It was taken away meanwhile.
      if (!file) continue;
      const below = path.slice(base);
      const own = process.platform === 'win32' ? below.replaceAll('\\', '/') : below;
      result.push({ path: own, split, stamp: stampOf(file), bytes: file.size, label });
    }
  }
  return result;
}

/** By a callback, which costs half of what a promise of the file system's does: there are ten thousand. */
function statOf({ path, rawPath }: Photo): Promise<Stats | undefined> {
  return new Promise((resolve) => {
    stat(rawPath === undefined ? path : Buffer.from(rawPath, 'latin1'), (error, found) => {
      resolve(error ? undefined : found);
    });
  });
}

/** Another one for a file that was changed. */
export function stampOf({ mtimeMs, size }: Pick<Stats, 'mtimeMs' | 'size'>): string {
  return `${Math.floor(mtimeMs * 1000).toString(36)}-${size.toString(36)}`;
}

function foldersOf(folder: string, { roots, folders }: ClassPlaces, photos: readonly Photo[]): string[] {
  const all = new Set([folder, ...roots.map((root) => join(folder, root))]);
  for (const own of folders.values()) for (const each of own) all.add(join(folder, each));
  for (const { path } of photos) all.add(dirname(path));
  return [...all];
}

function printOf(photos: ReadonlyMap<string, readonly ScannedPhoto[]>): string {
  const lines = [...photos].map(([name, all]) =>
    JSON.stringify([name, ...all.map(({ path, split, stamp }) => `${path}\0${split}\0${stamp}`)]),
  );
  return sha256(Buffer.from(lines.join('\n')));
}
