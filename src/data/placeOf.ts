import { relative } from 'node:path';
import { sha256 } from '../files.js';
import type { Unlabelled } from './photo.js';

/** A number that is as good as drawn for a photo: the same wherever its folder lies, and whatever else is in it. */
export function placeOf({ path, inside }: Unlabelled, source: string, salt: string): number {
  const name = relative(source, path).replaceAll('\\', '/');
  const hash = sha256(Buffer.from(JSON.stringify([salt, name, inside?.kind === 'cifar' ? inside.offset : 0])));
  return parseInt(hash.slice(0, 12), 16);
}
