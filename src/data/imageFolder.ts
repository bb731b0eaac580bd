import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { messageOf, UserError } from '../errors.js';
import { Random } from '../random.js';

export interface Photo {
  readonly path: string;
  /** Index into the data set's classes. */
  readonly label: number;
}

export interface Dataset {
  /** Sorted by code unit. */
  readonly classes: string[];
  readonly train: Photo[];
  readonly val: Photo[];
  /** Where it was found. */
  readonly folder: string;
}

export interface OpenOptions {
  /** Share of each class that validates where the folder has no val/; default 0.2. */
  readonly valFraction?: number;
  readonly seed: number;
}

/** What sharp's published binaries read, by extension. */
const EXTENSIONS = ['.jpg', '.jpeg', '.png', '.webp', '.avif', '.tif', '.tiff', '.gif'];
const VAL_NAMES = ['val', 'valid', 'validation', 'test'];
const LAYOUT =
  'expected one folder for each class, <folder>/<class>/*.jpg, or <folder>/train/<class>/*.jpg and <folder>/val/<class>/*.jpg';

/**
 * Finds the photos of a folder: `train/` and `val/` (or `valid/`, `validation/`, `test/`) with a folder for each class, or the
 * class folders alone, of which a seeded part of each class then validates: at least one photo, never the class's last one.
 * @throws UserError `no-such-folder`, `no-photos`, `one-class`, `class-without-photos`, `unknown-class`, `too-few-photos`,
 * `bad-val-fraction`.
 */
export async function openImageFolder(folder: string, { valFraction = 0.2, seed }: OpenOptions): Promise<Dataset> {
  if (!(valFraction > 0 && valFraction < 1)) {
    throw new UserError('bad-val-fraction', `expected a share between 0 and 1 for validation, got ${valFraction}`);
  }
  const inside = await subfolders(folder);
  const named = (name: string) => inside.find((each) => each.toLowerCase() === name);
  const trainName = named('train');
  const valName = trainName === undefined ? undefined : VAL_NAMES.map(named).find((name) => name !== undefined);

  const trainFolder = trainName === undefined ? folder : join(folder, trainName);
  const found = await photosByClass(trainFolder);
  const classes = [...found.keys()];
  const [first] = classes;
  if ([...found.values()].every((paths) => paths.length === 0)) throw noPhotos(trainFolder);
  if (first !== undefined && classes.length === 1) {
    throw new UserError(
      'one-class',
      `${trainFolder} has one class only, "${first}"; a classifier needs two or more folders of photos`,
    );
  }
  for (const [name, paths] of found) {
    if (paths.length > 0) continue;
    throw new UserError(
      'class-without-photos',
      `class "${name}" has no photos in ${trainFolder}; add some (${EXTENSIONS.join(' ')}), or remove its folder`,
    );
  }

  if (valName !== undefined) {
    const valFolder = join(folder, valName);
    const val = await photosByClass(valFolder);
    if ([...val.values()].every((paths) => paths.length === 0)) throw noPhotos(valFolder);
    for (const name of val.keys()) {
      if (found.has(name)) continue;
      throw new UserError(
        'unknown-class',
        `class "${name}" of ${valFolder} is not in ${trainFolder} (${some(classes)}); rename or remove its folder`,
      );
    }
    return { classes, train: labelled(classes, found), val: labelled(classes, val), folder };
  }

  const train = new Map<string, string[]>();
  const val = new Map<string, string[]>();
  for (const [name, paths] of found) {
    const count = Math.min(paths.length - 1, Math.max(1, Math.round(paths.length * valFraction)));
    const chosen = new Set(
      new Random(seed)
        .fork(name)
        .shuffle([...paths])
        .slice(0, count),
    );
    train.set(
      name,
      paths.filter((path) => !chosen.has(path)),
    );
    val.set(
      name,
      paths.filter((path) => chosen.has(path)),
    );
  }
  if ([...val.values()].every((paths) => paths.length === 0)) {
    throw new UserError(
      'too-few-photos',
      `every class of ${trainFolder} has one photo, so none is left to validate with; add photos, or a val folder`,
    );
  }
  return { classes, train: labelled(classes, train), val: labelled(classes, val), folder };
}

function labelled(classes: readonly string[], paths: ReadonlyMap<string, string[]>): Photo[] {
  return classes.flatMap((name, label) => (paths.get(name) ?? []).map((path) => ({ path, label })));
}

/** Class → its photos, both sorted by code unit. */
async function photosByClass(folder: string): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const name of await subfolders(folder)) found.set(name, (await photosBelow(join(folder, name))).sort());
  return found;
}

async function photosBelow(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await entries(folder)) {
    const path = join(folder, entry.name);
    // A link to a folder is followed for a class, not below it: it could lead in a circle.
    if (entry.isDirectory()) found.push(...(await photosBelow(path)));
    else if (EXTENSIONS.includes(extname(entry.name).toLowerCase())) found.push(path);
  }
  return found;
}

async function subfolders(folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await entries(folder)) {
    if (entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(join(folder, entry.name)))))
      names.push(entry.name);
  }
  return names.sort();
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() ?? false;
}

/** What `folder` holds, hidden entries (.DS_Store, .thumbnails) left out. */
async function entries(folder: string): Promise<Dirent[]> {
  try {
    const all = await readdir(folder, { withFileTypes: true });
    return all.filter(({ name }) => !name.startsWith('.'));
  } catch (cause) {
    throw new UserError('no-such-folder', `cannot open the folder ${folder}: ${messageOf(cause)}; ${LAYOUT}`, {
      cause,
    });
  }
}

function noPhotos(folder: string): UserError {
  return new UserError('no-photos', `no photos found in ${folder}; ${LAYOUT} (or ${EXTENSIONS.slice(1).join(' ')})`);
}

function some(names: readonly string[]): string {
  return names.length > 5 ? `${names.slice(0, 5).join(', ')}, …` : names.join(', ');
}
