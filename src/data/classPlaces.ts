import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isUnprintable } from './classNames.js';
import type { Dataset } from './dataset.js';
import { isCompanionName, saysUnlabelled } from './layout/classFolders.js';
import type { Photo } from './photo.js';
import { type Role, roleOf } from './splitNames.js';
import { systemFolder } from './systemFiles.js';

/** Where in a folder of photos the classes lie. Paths are from that folder on, with `/` between their parts; `''` is the folder itself. */
export interface ClassPlaces {
  /** The folders in which class folders lie; of those with splits, that of the photos to train with comes first. */
  readonly roots: readonly string[];
  /** A class → its folders, also of one that has no photos. */
  readonly folders: ReadonlyMap<string, readonly string[]>;
  /** A class → where a new photo to train with belongs. */
  readonly newPhotos: ReadonlyMap<string, string>;
  /** Folders beside them whose names no class can have. */
  readonly misnamed: readonly string[];
  /** Whether each class has folders for its splits, as `cat/train` and `cat/val`, so that a new class would need them too. */
  readonly hasSplitsInClasses: boolean;
}

interface Place {
  readonly root: string;
  /** Which part of a photo's path is its class. */
  readonly depth: number;
}

/** Finds where the classes of a folder lie by the photos that were found in it, and those without photos by their folders. */
export async function findClassPlaces(folder: string, dataset?: Dataset): Promise<ClassPlaces> {
  const { classes = [], train = [], val = [], test = [] } = dataset ?? {};
  const placed = [train, val, test].flatMap((photos) => {
    const place = placeOfClasses(folder, photos, classes);
    return place ? [{ photos, place }] : [];
  });
  const found = [...new Set(placed.map(({ place }) => place.root))];
  const roots = await withEmptySplits(folder, found);
  const isInside = hasSplitsInside(folder, { train, val, test }, placed[0]?.place);
  const folders = new Map<string, string[]>(classes.map((name) => [name, []]));
  const misnamed: string[] = [];
  for (const root of roots)
    for (const { name, path } of await classFoldersIn(folder, root, classes)) {
      if (await isMisnamed(folder, path)) {
        misnamed.push(path);
        continue;
      }
      const known = folders.get(name) ?? [];
      folders.set(name, [...known, path]);
    }
  const newPhotos = new Map<string, string>();
  for (const [name, own] of folders) {
    const [first] = own;
    newPhotos.set(name, first?.startsWith(prefixOf(roots[0] ?? '')) ? first : `${prefixOf(roots[0] ?? '')}${name}`);
  }
  const place = placed[0]?.place;
  if (isInside && place)
    for (const photo of train) {
      const parts = partsBelow(folder, photo).slice(0, place.depth + 2);
      newPhotos.set(classes[photo.label] ?? '', parts.join('/'));
    }
  return { roots, folders, newPhotos, misnamed, hasSplitsInClasses: isInside };
}

const prefixOf = (root: string) => (root === '' ? '' : `${root}/`);

/** The names of a photo's folders and its own, from the data set's folder on. */
function partsBelow(folder: string, { path }: Pick<Photo, 'path'>): string[] {
  // As whoever listed the folder has joined them.
  const below = path.slice(join(folder, 'x').length - 1);
  return (process.platform === 'win32' ? below.replaceAll('\\', '/') : below).split('/');
}

/** Where the classes of photos of one split lie: class folders stand beside each other, however deep. */
function placeOfClasses(folder: string, photos: readonly Photo[], classes: readonly string[]): Place | undefined {
  let depths: number[] | undefined;
  for (const photo of photos) {
    const parts = partsBelow(folder, photo);
    depths = (depths ?? parts.map((_, depth) => depth)).filter(
      (depth) => depth < parts.length - 1 && parts[depth]?.normalize('NFC') === classes[photo.label],
    );
    if (depths.length < 2) break;
  }
  const [first] = photos;
  const [depth] = depths ?? [];
  if (!first || depth === undefined) return undefined;
  return { root: partsBelow(folder, first).slice(0, depth).join('/'), depth };
}

/** Roots of photos, and splits beside them that hold none; where there is no photo at all, the splits, or the folder itself. */
async function withEmptySplits(folder: string, found: readonly string[]): Promise<string[]> {
  const [first] = found;
  if (first !== undefined && splitOf(first.split('/')[0] ?? '') === undefined) return [...found];
  const splits = (await foldersIn(folder))
    .filter(({ name }) => splitOf(name) !== undefined)
    .sort((a, b) => orderOf(a.name) - orderOf(b.name));
  if (first === undefined) return splits.length > 0 ? splits.map(({ name }) => name) : [''];
  const further = splits.filter(({ name }) => !found.some((root) => root === name || root.startsWith(`${name}/`)));
  return [...found, ...further.map(({ name }) => name)];
}

const ORDER = ['train', 'val', 'test'] as const;
const splitOf = (name: string): Exclude<Role, 'none'> | undefined => {
  const role = roleOf(name);
  return role === 'none' ? undefined : role;
};
const orderOf = (name: string) => ORDER.indexOf(splitOf(name) ?? 'test');

/** Whether photos lie in `cat/train`, `cat/val` and so on. */
function hasSplitsInside(
  folder: string,
  { train, val, test }: { readonly [Split in 'train' | 'val' | 'test']: readonly Photo[] },
  place: Place | undefined,
): boolean {
  if (!place || train.length === 0 || val.length === 0) return false;
  const roles = new Map<string, Role | undefined>();
  const isIn = (photo: Photo, isWanted: (role: Role | undefined) => boolean) => {
    const parts = partsBelow(folder, photo);
    const name = parts[place.depth + 1] ?? '';
    if (!roles.has(name)) roles.set(name, roleOf(name));
    return parts.length > place.depth + 2 && isWanted(roles.get(name));
  };
  const isHeldOut = (role: Role | undefined) => role === 'val' || role === 'test';
  return (
    train.every((photo) => isIn(photo, (role) => role === 'train')) &&
    [...val, ...test].every((photo) => isIn(photo, isHeldOut))
  );
}

/** Folders of classes below `root`: those of `known` ones, and others that would be a class if they had photos. */
async function classFoldersIn(
  folder: string,
  root: string,
  known: readonly string[],
): Promise<{ readonly name: string; readonly path: string }[]> {
  const result: { name: string; path: string }[] = [];
  for (const { name: own } of await foldersIn(join(folder, root))) {
    const name = own.normalize('NFC');
    const path = `${prefixOf(root)}${own}`;
    if (known.includes(name) || (await couldBeClass(join(folder, path), name))) result.push({ name, path });
  }
  return result;
}

/** What is not UTF-8 in a name comes as another character, so that nothing is there under it. */
async function isMisnamed(folder: string, path: string): Promise<boolean> {
  return isUnprintable(basename(path)) || (path.includes('\ufffd') && !(await isFolder(join(folder, path))));
}

/** A folder that is called as those beside photos are is a class only as long as nothing is in it. */
async function couldBeClass(path: string, name: string): Promise<boolean> {
  if (systemFolder(name) !== undefined || roleOf(name) !== undefined || saysUnlabelled(name)) return false;
  return !isCompanionName(name) || (await readdir(path).catch(() => ['closed'])).length === 0;
}

/** Folders, and links to some, in the order of their names; none where there is nothing to be listed. */
async function foldersIn(path: string): Promise<Dirent[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  const found: Dirent[] = [];
  for (const entry of entries) {
    const isLinked = entry.isSymbolicLink() && (await isFolder(join(path, entry.name)));
    if (entry.isDirectory() || isLinked) found.push(entry);
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

const isFolder = (path: string) =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
