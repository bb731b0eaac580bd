import { mkdir, readdir, readFile, realpath, rmdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../../errors.js';
import { fileErrorCode, isFolderItself, makeFolder, writeFailed, writeFileAtomically } from '../../files.js';
import type { Binned, Project } from '../api.js';
import { BinContents } from './binContents.js';
import { freePlace, isThere, moveTo } from './freePlace.js';
import { makeFolderInside, pathParts } from './photoPath.js';

/** The folder among the photos that holds what was deleted. */
export const BIN = '.ort-tl-bin';
const LIST = 'moved.json';
const ID = /^(\d{8}-\d{6})-(\d+)$/;

const listSchema = z.object({ what: z.string(), photos: z.number(), paths: z.array(z.string()) });
type BinnedList = z.infer<typeof listSchema>;
type BinEntry = Project['bin'][number];

/** Keeps what was deleted from the photos. All is moved and nothing copied: whoever is killed meanwhile has lost nothing. */
export class PhotoBin {
  private readonly folder: string;
  private readonly contents: BinContents;
  /** Lists do not change once they are written. */
  private readonly known = new Map<string, BinnedList>();

  /** @param root the folder of photos. */
  constructor(private readonly root: string) {
    this.folder = join(root, BIN);
    this.contents = new BinContents(this.folder, ID);
  }

  /** The oldest first. */
  async list(): Promise<BinEntry[]> {
    const entries: BinEntry[] = [];
    for (const bin of (await this.contents.names()).sort(byAge)) {
      const list = await this.read(bin).catch(() => undefined);
      if (list) entries.push({ bin, what: list.what, photos: list.photos });
    }
    return entries;
  }

  /** How much it holds. */
  bytes(): Promise<number> {
    return this.contents.bytes();
  }

  /** Removes for good what it holds, and gives how many bytes that were. @throws UserError `write-failed`. */
  empty(): Promise<number> {
    this.known.clear();
    return this.contents.empty();
  }

  /**
   * Moves files and folders, named by paths below the photos' folder, out of sight.
   * @param what names them for those who look for them later.
   * @throws UserError `write-failed`; `bad-path` for what could not be put back.
   */
  async put(list: BinnedList): Promise<Binned> {
    for (const path of list.paths) pathParts(path);
    const bin = await this.make();
    const folder = join(this.folder, bin);
    try {
      // First of all, so that what is in the bin can always be put back.
      await writeFileAtomically(join(folder, LIST), `${JSON.stringify(list)}\n`);
      for (const path of list.paths) {
        const place = join(folder, path);
        await makeFolder(dirname(place));
        await moveTo(join(this.root, path), place);
      }
    } catch (cause) {
      // Where nothing was moved there is nothing to put back.
      await removeEmpty(folder).catch(() => undefined);
      throw cause instanceof UserError ? cause : writeFailed(folder, cause, 'move photos to');
    } finally {
      this.contents.forget(bin);
    }
    return { bin, photos: list.photos };
  }

  /**
   * Puts back what was deleted: where a name is taken by now, under that with a number.
   * @throws UserError `no-such-bin`, `write-failed`.
   */
  async restore(bin: string): Promise<number> {
    const { paths } = await this.read(bin);
    const folder = join(this.folder, bin);
    let count = 0;
    try {
      for (const path of paths) {
        const from = join(folder, ...pathParts(path));
        if (await isThere(from)) count += await this.putBack(from, path);
      }
      await removeEmpty(folder);
    } catch (cause) {
      throw cause instanceof UserError ? cause : writeFailed(folder, cause, 'put photos back from');
    } finally {
      this.contents.forget(bin);
    }
    this.known.delete(bin);
    return count;
  }

  private async putBack(from: string, path: string): Promise<number> {
    const folder = await makeFolderInside(this.root, pathParts(path).slice(0, -1));
    const place = join(folder, basename(path));
    if (isFolderItself(from) && isFolderItself(place)) return mergeFolder(from, place);
    const count = isFolderItself(from) ? await countIn(from) : 1;
    await moveTo(from, await freePlace(folder, basename(path)));
    return count;
  }

  private async make(): Promise<string> {
    const time = new Date()
      .toISOString()
      .replaceAll(/[-:]|\..*/g, '')
      .replace('T', '-');
    try {
      await mkdir(this.folder).catch((thrown: unknown) => {
        if (fileErrorCode(thrown) !== 'EEXIST' || !isFolderItself(this.folder)) throw thrown;
      });
      for (let number = 1; ; number++) {
        const bin = `${time}-${number}`;
        try {
          await mkdir(join(this.folder, bin));
          return bin;
        } catch (thrown) {
          if (fileErrorCode(thrown) !== 'EEXIST') throw thrown;
        }
      }
    } catch (cause) {
      throw writeFailed(this.folder, cause);
    }
  }

  /** @throws UserError `no-such-bin`. */
  private async read(bin: string): Promise<BinnedList> {
    const known = this.known.get(bin);
    if (known) return known;
    try {
      if (!ID.test(bin) || (await realpath(this.folder)) !== join(await realpath(this.root), BIN)) throw new Error();
      const list = listSchema.parse(JSON.parse(await readFile(join(this.folder, bin, LIST), 'utf8')));
      this.known.set(bin, list);
      return list;
    } catch (cause) {
      throw new UserError('no-such-bin', 'what was deleted is not in the bin any more: it was put back, or taken out', {
        cause,
      });
    }
  }
}

/** Moves all that is in a folder into another one, and removes the first. Gives how many files that were. */
export async function mergeFolder(from: string, to: string): Promise<number> {
  let count = 0;
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const place = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory() && isFolderItself(target)) {
      count += await mergeFolder(place, target);
      continue;
    }
    count += entry.isDirectory() ? await countIn(place) : 1;
    await moveTo(place, await freePlace(to, entry.name));
  }
  await rmdir(from);
  return count;
}

/** How many files lie in a folder at any depth. */
async function countIn(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => !entry.isDirectory()).length;
}

/** Removes a bin that holds nothing but its list; one with anything else stays. */
async function removeEmpty(folder: string): Promise<void> {
  const below = await readdir(folder, { withFileTypes: true, recursive: true });
  if (below.some((entry) => !entry.isDirectory() && entry.name !== LIST)) return;
  await rm(folder, { recursive: true, force: true });
}

function byAge(a: string, b: string): number {
  const [, timeA = '', numberA] = ID.exec(a) ?? [];
  const [, timeB = '', numberB] = ID.exec(b) ?? [];
  if (timeA !== timeB) return timeA < timeB ? -1 : 1;
  return Number(numberA) - Number(numberB);
}
