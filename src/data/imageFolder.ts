import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import { UserError } from '../errors.js';
import { fileReason } from '../files.js';
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
    else if (isPhotoFile(entry)) found.push(path);
  }
  return found;
}

/** By its name; not a pipe or a device, which might never end. */
function isPhotoFile(entry: Dirent): boolean {
  return (entry.isFile() || entry.isSymbolicLink()) && EXTENSIONS.includes(extname(entry.name).toLowerCase());
}

async function subfolders(folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await entries(folder)) {
    if (entry.isDirectory() || (entry.isSymbolicLink() && (await leadsElsewhere(folder, entry.name))))
      names.push(entry.name);
  }
  return names.sort();
}

/** Whether a link leads to a folder that does not hold `folder` itself: one that does would show every photo again. */
async function leadsElsewhere(folder: string, link: string): Promise<boolean> {
  const path = join(folder, link);
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) return false;
  return !`${await realpath(folder)}${sep}`.startsWith(join(await realpath(path), sep));
}

/** What `folder` holds, hidden entries (.DS_Store, .thumbnails) left out. */
async function entries(folder: string): Promise<Dirent[]> {
  try {
    const all = await readdir(folder, { withFileTypes: true });
    return all.filter(({ name }) => !name.startsWith('.'));
  } catch (cause) {
    throw new UserError('no-such-folder', `cannot open the folder ${folder}: ${fileReason(cause)}; ${LAYOUT}`, {
      cause,
    });
  }
}
