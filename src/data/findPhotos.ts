import { stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { UserError } from '../errors.js';
import type { Unlabelled } from './photo.js';
import { firstBytesOf, listFolder } from './folderListing.js';
import { leftOutLines, someTypes } from './leftOut.js';
import { otherFormatIn } from './otherFormats.js';
import { NAMED_EXTENSIONS } from './photoTypes.js';
import { type Entry, type Listing, treeOf } from './tree.js';
import { listZip } from './zip.js';

/** The photos that a word stands for, by path, and a line each about what was left out. */
export interface FoundPhotos {
  readonly photos: readonly Unlabelled[];
  readonly warnings: readonly string[];
}

/**
 * The photos that `place` stands for: a file, whatever it is called, a folder (every photo in it, at any depth), or a glob, of whose
 * matches those that are photos.
 * @throws UserError `no-photos` for an empty folder, or a pattern that nothing matches; `no-such-folder`.
 */
export async function findPhotos(place: string): Promise<FoundPhotos> {
  const found = await stat(place).catch(() => undefined);
  const expected = `expected files such as ${NAMED_EXTENSIONS.join(' ')}`;
  if (found?.isDirectory()) {
    const base = place.replace(/\/+$/, '');
    const { entries, firstBytes } = await listFolder(base === '' ? place : base, expected);
    // The paths begin as the word does.
    const named = entries.map((entry) => ({
      ...entry,
      photo: { ...entry.photo, path: [base, ...entry.parts].join('/') },
    }));
    return photosOf({ entries: named, firstBytes }, place, `no photos in ${place}`, expected);
  }
  // A file may have brackets in its name, and a file that is missing is better named by who reads it.
  if (found || !isDynamicPattern(place)) return { photos: [{ path: place }], warnings: [] };
  const matches = await glob(place, { absolute: isAbsolute(place) });
  if (matches.length === 0) throw new UserError('no-photos', `nothing matches ${place}`);
  // Whoever asks for `*.heic` wants to know why they are not read.
  if (/\.[a-z0-9]+$/i.test(place)) return { photos: matches.sort().map((path) => ({ path })), warnings: [] };
  const entries = matches.map((path): Entry => ({ parts: path.split('/').slice(-1), kind: 'file', photo: { path } }));
  const listing = { entries, firstBytes: ({ photo }: Entry) => firstBytesOf(photo) };
  return photosOf(listing, place, `no photos match ${place}`, expected);
}

/**
 * Every photo in a zip file at any depth, whatever its folders mean.
 * @throws UserError `bad-archive`, `no-photos`.
 */
export async function photosInZip(archive: string): Promise<FoundPhotos> {
  const { listing } = await listZip(archive);
  const expected = `expected files such as ${NAMED_EXTENSIONS.join(' ')}`;
  return photosOf(listing, archive, `no photos in ${archive}`, expected);
}

async function photosOf(listing: Listing, place: string, nothing: string, expected: string): Promise<FoundPhotos> {
  const { root, leftOut } = await treeOf(listing);
  const photos = [...root.everyPhoto()].sort((a, b) => (a.path < b.path ? -1 : 1));
  if (photos.length > 0) return { photos, warnings: leftOutLines(leftOut.toRecord(), place) };
  const others = [...root.othersBelow];
  const format = otherFormatIn([...root.everyFolder()].flatMap(({ otherNames }) => otherNames));
  const instead = format ?? (others.length > 0 ? `it holds ${someTypes(others, true)}` : undefined);
  throw new UserError('no-photos', `${nothing}${instead === undefined ? '' : `: ${instead}`}; ${expected}`);
}
