import type { Folder } from '../tree.js';

/** How messages name a folder: its path, from what the user gave on. */
export type PlaceOf = (folder: Folder) => string;

/** `1 photo`, `2 photos`. */
export const photos = (count: number) => `${count} ${count === 1 ? 'photo' : 'photos'}`;

/** The folders' names as a list. */
export const namesOf = (folders: readonly Folder[]) => list(folders.map(({ name }) => name));

/** `a, b and c`, the rest of a long list counted. */
export function list(names: readonly string[]): string {
  const named = names.length > 5 ? [...names.slice(0, 4), `${names.length - 4} more`] : names;
  return named.length < 2 ? named.join('') : `${named.slice(0, -1).join(', ')} and ${named.at(-1) ?? ''}`;
}
