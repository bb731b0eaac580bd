import { isUtf8 } from 'node:buffer';
import type { Dirent } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { UserError } from '../errors.js';
import { fileReason } from '../files.js';
import type { Unlabelled } from './photo.js';
import { openablePath, shownName } from './fileNames.js';
import { SIGNATURE_BYTES } from './photoTypes.js';
import { systemFolder } from './systemFiles.js';
import type { Entry, Listing } from './tree.js';

/** Links that are looked at together. */
const AT_ONCE = 64;

interface Place {
  readonly parts: readonly string[];
  readonly path: string;
  readonly rawPath?: string;
}

interface FolderPlace extends Place {
  /** Where it lies when all links are followed, its bytes as Latin-1. */
  readonly real: string;
}

/** Real paths are compared as bytes, which Latin-1 keeps. */
const bytesOf = (text: string) => Buffer.from(text).toString('latin1');

/**
 * Everything below a folder. Links to folders are followed when all else was seen, the outermost first, but for those that lead to
 * what was seen, or to a folder that holds this one; so each folder comes once, and no circle is walked twice. Pipes, sockets and
 * devices are not opened.
 * @throws UserError `no-such-folder` for the folder, or one below it, that cannot be opened.
 */
export async function listFolder(folder: string, expected: string): Promise<Listing> {
  const entries: Entry[] = [];
  const links: Place[] = [];
  const seen = new Set<string>();
  const rootReal = await realpath(folder, 'latin1').catch(() => bytesOf(folder));

  async function walk(place: FolderPlace, system: boolean): Promise<void> {
    seen.add(place.real);
    const found = await read(place, system);
    if (!found) {
      entries.push({ parts: [...place.parts, ''], kind: 'special', photo: place });
      return;
    }
    const below: FolderPlace[] = [];
    const linked: Place[] = [];
    for (const each of found) {
      const name = shownName(each.name);
      const odd = !isUtf8(each.name);
      const inside = insideOf(place, name, each.name, odd);
      if (each.isDirectory()) {
        const real = realOf(place, each.name);
        if (seen.has(real)) {
          entries.push({ parts: inside.parts, kind: 'repeated link', photo: photoAt(inside) });
          continue;
        }
        entries.push({ parts: inside.parts, kind: 'folder', photo: photoAt(inside), oddName: odd });
        below.push({ ...inside, real });
      } else if (each.isFile()) entries.push({ parts: inside.parts, kind: 'file', photo: photoAt(inside) });
      else if (each.isSymbolicLink()) linked.push(inside);
      else entries.push({ parts: inside.parts, kind: 'special', photo: photoAt(inside) });
    }
    for (let at = 0; at < linked.length; at += AT_ONCE) {
      const some = linked.slice(at, at + AT_ONCE);
      const targets = await Promise.all(some.map((each) => stat(openablePath(each)).catch(() => undefined)));
      for (const [index, link] of some.entries()) {
        const target = targets[index];
        if (target?.isDirectory() && !system) links.push(link);
        else {
          const kind = target?.isFile() ? 'file' : target ? 'special' : 'broken link';
          entries.push({ parts: link.parts, kind, photo: photoAt(link) });
        }
      }
    }
    for (const each of below) await walk(each, system || systemFolder(each.parts.at(-1) ?? '') !== undefined);
  }

  async function read(place: Place, system: boolean): Promise<Dirent<Buffer>[] | undefined> {
    try {
      return await readdir(openablePath(place), { withFileTypes: true, encoding: 'buffer' });
    } catch (cause) {
      // The system's own folders may be closed to users.
      if (system) return undefined;
      throw new UserError('no-such-folder', `cannot open the folder ${place.path}: ${fileReason(cause)}; ${expected}`, {
        cause,
      });
    }
  }

  await walk({ parts: [], path: folder, real: rootReal }, false);
  while (links.length > 0) {
    const some = links.splice(0).sort((a, b) => a.parts.length - b.parts.length || (a.path < b.path ? -1 : 1));
    for (const link of some) {
      const real = await realpath(openablePath(link), 'latin1').catch(() => undefined);
      const name = link.parts.at(-1) ?? '';
      if (real === undefined || seen.has(real) || holds(real, rootReal) || systemFolder(name) !== undefined) {
        entries.push({ parts: link.parts, kind: 'repeated link', photo: photoAt(link) });
        continue;
      }
      entries.push({ parts: link.parts, kind: 'folder', photo: photoAt(link), oddName: hasOddName(link) });
      await walk({ ...link, real }, false);
    }
  }
  return { entries, firstBytes: ({ photo }) => firstBytesOf(photo) };
}

function photoAt({ path, rawPath }: Place): Unlabelled {
  return rawPath === undefined ? { path } : { path, rawPath };
}

function insideOf(above: Place, name: string, bytes: Buffer, odd: boolean): Place {
  const place = { parts: [...above.parts, name], path: join(above.path, name) };
  if (!odd && above.rawPath === undefined) return place;
  return { ...place, rawPath: `${above.rawPath ?? bytesOf(above.path)}/${bytes.toString('latin1')}` };
}

function realOf({ real }: FolderPlace, bytes: Buffer): string {
  return `${real}${real.endsWith(sep) ? '' : sep}${bytes.toString('latin1')}`;
}

const hasOddName = ({ rawPath = '' }: Place) =>
  !isUtf8(Buffer.from(rawPath.slice(rawPath.lastIndexOf('/') + 1), 'latin1'));

/** Whether the folder `outer` holds `inner`, or is it. */
const holds = (outer: string, inner: string) =>
  `${inner}${sep}`.startsWith(outer.endsWith(sep) ? outer : `${outer}${sep}`);

/** The first bytes of a file, none where it cannot be read. */
export async function firstBytesOf(photo: Unlabelled): Promise<Uint8Array> {
  const file = await open(openablePath(photo)).catch(() => undefined);
  if (!file) return new Uint8Array();
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SIGNATURE_BYTES), 0, SIGNATURE_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } catch {
    return new Uint8Array();
  } finally {
    await file.close();
  }
}
