import { MachineError, UserError } from '../errors.js';
import { fileErrorCode, fileReason, readRegularFile, sha256 } from '../files.js';
import { machineErrorOf } from '../machineError.js';
import { readCifarRecord } from './cifar.js';
import type { PhotoContent, Unlabelled } from './photo.js';
import { openablePath } from './fileNames.js';
import { Turns } from './turns.js';
import { readZipEntry } from './zip.js';

/** A file of more bytes is no photo. */
const LARGEST_PHOTO_BYTES = 2 ** 30;
/** Files that are open at once: many photos are read ahead, and a process may open few, 256 on macOS. */
const MOST_OPEN = 8;
const turns = new Turns(MOST_OPEN);

/** @throws UserError `unreadable-photo`, MachineError where it is not the photo's fault. */
export async function readPhoto(photo: Unlabelled): Promise<PhotoContent> {
  while (true) {
    try {
      return await turns.take(() => readContent(photo));
    } catch (thrown) {
      const isLimit = thrown instanceof MachineError && thrown.code === 'out-of-files';
      if (!isLimit || !turns.lessen()) throw thrown;
    }
  }
}

async function readContent(photo: Unlabelled): Promise<PhotoContent> {
  const { path, inside } = photo;
  try {
    if (inside?.kind === 'zip') return await readZipEntry(inside);
    if (inside?.kind === 'cifar') return await readCifarRecord(inside);
    const bytes = await readRegularFile(openablePath(photo), LARGEST_PHOTO_BYTES);
    if (bytes.length === 0) throw new Error('it is empty');
    return bytes;
  } catch (cause) {
    const machine = machineErrorOf(cause);
    if (machine) throw machine;
    // Node.js puts U+FFFD for what is not UTF-8 in its arguments.
    const isOdd = path.includes('\ufffd') && fileErrorCode(cause) === 'ENOENT';
    const reason = isOdd
      ? 'its name is not UTF-8, which an argument cannot carry; name the folder it lies in, or rename it (convmv)'
      : fileReason(cause);
    throw new UserError('unreadable-photo', `cannot read ${path}: ${reason}`, { cause });
  }
}

/** Hexadecimal SHA-256: the same for the same content, whatever it is called and wherever it lies. */
export function contentHash(content: PhotoContent): string {
  return sha256('pixels' in content ? content.pixels : content);
}
