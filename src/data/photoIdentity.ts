import { stat } from 'node:fs/promises';
import { openablePath } from './fileNames.js';
import type { Unlabelled } from './photo.js';

/** A file that was changed so lately may be changed again within the same tick of its file system's clock, 2 s on FAT. */
const TICK_MS = 2000;

/**
 * Tells a photo from others, and from what it becomes when its file is changed, without reading it. It stays the same when the file gets another
 * name. Undefined where that cannot be told: the file is not there, or was changed just now.
 */
export async function photoIdentity(photo: Unlabelled): Promise<string | undefined> {
  const { inside } = photo;
  const file = inside?.kind === 'zip' ? inside.archive : (inside?.file ?? openablePath(photo));
  const found = await stat(file, { bigint: true }).catch(() => undefined);
  if (!found || Date.now() - Number(found.mtimeMs) < TICK_MS) return undefined;
  const { dev, ino, size, mtimeNs } = found;
  // Some file systems do not number their files.
  const place = ino === 0n ? photo.path : `${dev} ${ino}`;
  return `${place} ${inside?.offset ?? ''} ${size} ${mtimeNs}`;
}
