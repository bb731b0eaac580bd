import { stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { UserError } from '../errors.js';
import { EXTENSIONS } from './dataset.js';

/**
 * Paths of the photos that `place` stands for: a file, a folder (every photo in it, at any depth), or a glob; sorted.
 * @throws UserError `no-photos` for an empty folder, or a pattern that nothing matches.
 */
export async function findPhotos(place: string): Promise<string[]> {
  const found = await stat(place).catch(() => undefined);
  if (found?.isDirectory()) {
    const inside = await glob(
      EXTENSIONS.map((extension) => `**/*${extension}`),
      { cwd: place, caseSensitiveMatch: false, absolute: false },
    );
    if (inside.length === 0)
      throw new UserError('no-photos', `no photos in ${place}; expected files such as ${EXTENSIONS.join(' ')}`);
    return inside.sort().map((path) => `${place.replace(/\/+$/, '')}/${path}`);
  }
  // A file may have brackets in its name, and a file that is missing is better named by who reads it.
  if (found || !isDynamicPattern(place)) return [place];
  const matches = await glob(place, { absolute: isAbsolute(place) });
  if (matches.length === 0) throw new UserError('no-photos', `nothing matches ${place}`);
  return matches.sort();
}
