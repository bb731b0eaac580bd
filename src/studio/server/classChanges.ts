import { lstat, rename } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { UserError } from '../../errors.js';
import { makeFolder } from '../../files.js';
import type { ClassPlaces } from '../../index.js';
import { visible } from '../../text.js';
import { freePlace, isThere, moveTo } from './freePlace.js';
import { fileToMove, isInside, makeFolderInside, pathParts } from './photoPath.js';
import { mergeFolder } from './photoBin.js';

/** Where a photo lies, in parts of its path. */
interface PlacedPhoto {
  readonly class: string;
  /** The folder of its class. */
  readonly folder: string;
  /** What its path has after that. */
  readonly rest: readonly string[];
}

/** Changes which class photos have, by moving files and folders. */
export class ClassChanges {
  /** @param root the folder of photos. */
  constructor(private readonly root: string) {}

  /** Tells by its path which class a photo has. @throws UserError `bad-path`, `no-such-photo`. */
  placed(path: string, { folders }: ClassPlaces): PlacedPhoto {
    const parts = pathParts(path);
    for (const [name, own] of folders)
      for (const folder of own)
        if (path.startsWith(`${folder}/`)) return { class: name, folder, rest: parts.slice(folder.split('/').length) };
    throw new UserError('no-such-photo', `"${visible(path)}" lies in no folder of a class`);
  }

  /** Moves photos to a class, each within its split, and gives where those that moved are now. @throws UserError `bad-path`, `no-such-photo`. */
  async movePhotos(paths: readonly string[], to: string, places: ClassPlaces): Promise<string[]> {
    const moves = [];
    for (const path of new Set(paths)) {
      const { path: from } = await fileToMove(this.root, path);
      const placed = this.placed(path, places);
      if (placed.class !== to) moves.push({ from, placed });
    }
    const moved: string[] = [];
    for (const { from, placed } of moves) {
      const beside = dirname(placed.folder);
      const known = places.folders.get(to)?.find((folder) => dirname(folder) === beside);
      const target = known ?? (beside === '.' ? to : `${beside}/${to}`);
      const folder = await makeFolderInside(this.root, [...target.split('/'), ...placed.rest.slice(0, -1)]);
      const place = await freePlace(folder, placed.rest.at(-1) ?? '');
      await moveTo(from, place);
      moved.push(relative(this.root, place).split(sep).join('/'));
    }
    return moved;
  }

  /** Where the folder of a new class belongs. @throws UserError `ambiguous-layout` where a class would need folders for its splits. */
  newFolder(name: string, { newPhotos, roots, hasSplitsInClasses }: ClassPlaces): string {
    const [like] = newPhotos.values();
    if (hasSplitsInClasses)
      throw new UserError(
        'ambiguous-layout',
        `each class in ${this.root} has folders for its splits, such as ${like ?? ''}, and a new one would need them too; make them yourself, with photos in each`,
      );
    const [root = ''] = roots;
    return root === '' ? name : `${root}/${name}`;
  }

  /** Renames the folders of a class, or puts what is in them into those of another. */
  async renameClass(from: string, to: string, { folders }: ClassPlaces): Promise<void> {
    for (const folder of folders.get(from) ?? []) {
      const source = join(this.root, folder);
      const known = folders.get(to)?.find((each) => dirname(each) === dirname(folder));
      const target = join(this.root, known ?? join(dirname(folder), to));
      await makeFolder(dirname(target));
      if (await isAnother(source, target)) await this.merge(source, target);
      else await rename(source, target);
    }
  }

  private async merge(source: string, target: string): Promise<void> {
    for (const place of [source, target])
      if ((await lstat(place)).isSymbolicLink() || !(await isInside(this.root, place)))
        throw new UserError('bad-path', `${place} is a link to another folder; move what is in it yourself`);
    await mergeFolder(source, target);
  }
}

/** Whether something else is at `target`; where case does not matter, it may be `source` itself. */
async function isAnother(source: string, target: string): Promise<boolean> {
  if (!(await isThere(target))) return false;
  const [one, other] = await Promise.all([lstat(source, { bigint: true }), lstat(target, { bigint: true })]);
  return one.dev !== other.dev || one.ino !== other.ino;
}
