import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { messageOf, UserError } from '../errors.js';
import { type Dataset, datasetOf, EXTENSIONS, type OpenOptions, VAL_NAMES } from './dataset.js';

const LAYOUT = `expected one folder for each class, <folder>/<class>/*.jpg, or <folder>/train/<class>/*.jpg and <folder>/val/<class>/*.jpg (or ${EXTENSIONS.slice(1).join(' ')})`;

/** A folder of photos as a data set. */
export class ImageFolder implements Dataset {
  readonly classes;
  readonly train;
  readonly val;
  readonly folder;

  private constructor({ classes, train, val, folder }: Dataset) {
    this.classes = classes;
    this.train = train;
    this.val = val;
    this.folder = folder;
  }

  /**
   * Finds the photos of a folder: `train/` and `val/` (or `valid/`, `validation/`, `test/`) with a folder for each class, or the
   * class folders alone, of which a seeded part of each class then validates: at least one photo, never the class's last one.
   * @throws UserError `no-such-folder`, and what `datasetOf` throws.
   */
  static async open(folder: string, options: OpenOptions = {}): Promise<ImageFolder> {
    const inside = await subfolders(folder);
    const named = (name: string) => inside.find((each) => each.toLowerCase() === name);
    const trainName = named('train');
    const valName = trainName === undefined ? undefined : VAL_NAMES.map(named).find((name) => name !== undefined);
    const trainSource = trainName === undefined ? folder : join(folder, trainName);
    const valSource = valName === undefined ? undefined : join(folder, valName);
    const found = {
      source: folder,
      trainSource,
      valSource,
      layout: LAYOUT,
      train: await photosByClass(trainSource),
      val: valSource === undefined ? undefined : await photosByClass(valSource),
    };
    return new ImageFolder(datasetOf(found, options));
  }
}

/** Class → its photos, both sorted by code unit. */
async function photosByClass(folder: string): Promise<Map<string, { path: string }[]>> {
  const found = new Map<string, { path: string }[]>();
  for (const name of await subfolders(folder)) {
    const paths = (await photosBelow(join(folder, name))).sort();
    found.set(
      name,
      paths.map((path) => ({ path })),
    );
  }
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
