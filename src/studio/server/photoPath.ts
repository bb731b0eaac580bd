import { type Stats } from 'node:fs';
import { lstat, mkdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { UserError } from '../../errors.js';
import { fileErrorCode } from '../../files.js';
import { visible } from '../../text.js';

const LONGEST = 4096;

/**
 * The parts of a path that a client names: relative, with `/` between its parts, none of which is empty, hidden, or leads upwards.
 * @throws UserError `bad-path`.
 */
export function pathParts(path: string): string[] {
  const parts = path.split('/');
  const isPlain = parts.every((part) => part !== '' && !part.startsWith('.'));
  if (!isPlain || path.length > LONGEST || /[\\\0]/.test(path) || /^[a-z]:/i.test(path))
    throw new UserError(
      'bad-path',
      `"${visible(path.slice(0, 200))}" is no path of a photo below the folder of photos`,
    );
  return parts;
}

/** A file below the folder of photos. */
export interface FileInside {
  /** As the file system has it. */
  readonly path: string;
  /** The names of its folders and its own. */
  readonly parts: readonly string[];
  readonly found: Stats;
}

/**
 * Finds a file to be moved: the folder that it lies in is inside `root`, whatever links there are. It may itself be a link.
 * @throws UserError `bad-path`, `no-such-photo`.
 */
export async function fileToMove(root: string, path: string): Promise<FileInside> {
  return find(root, path, async (place) => {
    const found = await lstat(place);
    return found.isFile() || found.isSymbolicLink() ? found : undefined;
  });
}

/**
 * Finds a file to be shown: it is inside `root` itself, whatever links there are.
 * @throws UserError `bad-path`, `no-such-photo`.
 */
export async function fileToShow(root: string, path: string): Promise<FileInside> {
  return find(root, path, async (place) => {
    const found = await stat(place);
    return found.isFile() && (await isInside(root, place)) ? found : undefined;
  });
}

async function find(
  root: string,
  path: string,
  look: (place: string) => Promise<Stats | undefined>,
): Promise<FileInside> {
  const parts = pathParts(path);
  const place = join(root, ...parts);
  const isHere = await isInside(root, join(root, ...parts.slice(0, -1)));
  const found = isHere ? await look(place).catch(() => undefined) : undefined;
  if (!found) throw new UserError('no-such-photo', `there is no photo "${visible(path)}" in the folder of photos`);
  return { path: place, parts, found };
}

/** Whether what is at `place` lies in `root` or is it, when all links are followed; false where there is nothing. */
export async function isInside(root: string, place: string): Promise<boolean> {
  const [outer, inner] = await Promise.all([realpath(root), realpath(place)]).catch(() => [undefined, undefined]);
  if (outer === undefined || inner === undefined) return false;
  return inner === outer || inner.startsWith(outer.endsWith(sep) ? outer : `${outer}${sep}`);
}

/**
 * Makes a folder below `root`, and those above it, and gives its place.
 * @throws UserError `bad-path` where a link leads out; the file system's error.
 */
export async function makeFolderInside(root: string, parts: readonly string[]): Promise<string> {
  let place = root;
  for (const part of parts) {
    place = join(place, part);
    try {
      await mkdir(place);
    } catch (thrown) {
      if (fileErrorCode(thrown) !== 'EEXIST') throw thrown;
      if (!(await isInside(root, place)))
        throw new UserError('bad-path', `${place} leads out of the folder of photos; take that link away`);
    }
  }
  return place;
}
