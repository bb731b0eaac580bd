import { copyFile, constants, link, lstat, rename, rm } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileErrorCode } from '../../files.js';

/** A name in a folder that nothing has: `cat.jpg`, or `cat-2.jpg` and so on. */
export async function freePlace(folder: string, name: string): Promise<string> {
  const extension = extname(name);
  const stem = name.slice(0, name.length - extension.length);
  const placeOf = (number: number) => join(folder, number === 1 ? name : `${stem}-${number}${extension}`);
  // A camera may give thousands of photos one name: numbers are doubled until one is free, then the first of those is looked for.
  let [taken, free] = [0, 1];
  while (await isThere(placeOf(free))) [taken, free] = [free, free * 2];
  while (free - taken > 1) {
    const middle = Math.floor((taken + free) / 2);
    if (await isThere(placeOf(middle))) taken = middle;
    else free = middle;
  }
  return placeOf(free);
}

/** Whether something is there, be it a link that leads nowhere. */
export const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

/** Moves a file or a folder to a place where nothing is; a file also to another disk. */
export async function moveTo(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (thrown) {
    if (fileErrorCode(thrown) !== 'EXDEV' || !(await lstat(from)).isFile()) throw thrown;
    await copyFile(from, to, constants.COPYFILE_EXCL);
    await rm(from);
  }
}

/** Puts a file that is whole into a folder under its name, or that with a number, where nothing is replaced. Gives its place. */
export async function putInto(folder: string, name: string, from: string): Promise<string> {
  while (true) {
    const place = await freePlace(folder, name);
    try {
      // Unlike a renaming, it fails where another program has put a file there meanwhile.
      await link(from, place);
      await rm(from);
      return place;
    } catch (thrown) {
      const code = fileErrorCode(thrown);
      if (code === 'EEXIST') continue;
      // Some file systems have no such links.
      if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EROFS' || code === 'EACCES') throw thrown;
      await moveTo(from, place);
      return place;
    }
  }
}
