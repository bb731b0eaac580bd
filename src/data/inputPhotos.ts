import { isUtf8 } from 'node:buffer';
import { TextDecoder } from 'node:util';
import type { Unlabelled } from './photo.js';
import { shownName } from './fileNames.js';
import { encodingOf } from './listText.js';
import { beginsAsPicture } from './photoTypes.js';

/** What bytes are that came instead of a file's name: a photo, paths of photos, or nothing of that. */
export type InputPhotos =
  { readonly kind: 'photo' | 'neither' } | { readonly kind: 'list'; readonly photos: Unlabelled[] };

/** No path is longer, on Linux at least. */
const LONGEST_PATH_BYTES = 4096;
const NUL = 0;
const TWO_NULS = Buffer.alloc(2);
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const BYTE_ORDER_MARK = Buffer.from('\ufeff');

/**
 * Tells a photo from a list of paths, which are separated by lines (of any system) or by zero bytes (`find -print0`), in UTF-8 or
 * UTF-16 (PowerShell), with a byte order mark or none; a name that is not UTF-8 is one of a file, too.
 */
export function readInput(bytes: Buffer): InputPhotos {
  const isBinary = bytes.includes(NUL) || !isUtf8(bytes);
  if (isBinary && beginsAsPicture(bytes)) return { kind: 'photo' };
  const encoding = encodingOf(bytes);
  const text = encoding === 'utf-8' ? bytes : Buffer.from(new TextDecoder(encoding).decode(bytes));
  const whole = text.subarray(0, 3).equals(BYTE_ORDER_MARK) ? text.subarray(3) : text;
  const names = namesIn(whole);
  if (!names) return { kind: 'neither' };
  const paths = names.filter((name) => name.length > 0 && !(name.length === 1 && name[0] === NEWLINE));
  // No name of a file has them, and every file of another kind does.
  const isNone = (name: Buffer) =>
    name.length > LONGEST_PATH_BYTES ||
    name.some((byte) => (byte < 0x20 && byte !== 0x09 && byte !== NEWLINE) || byte === 0x7f);
  if (paths.some(isNone)) return { kind: 'neither' };
  return {
    kind: 'list',
    photos: paths.map((name) => ({
      path: shownName(name),
      ...(isUtf8(name) ? {} : { rawPath: name.toString('latin1') }),
    })),
  };
}

/** Undefined where zero bytes stand first or side by side, as in UTF-32. */
function namesIn(list: Buffer): Buffer[] | undefined {
  if (list.includes(NUL)) return list[0] === NUL || list.includes(TWO_NULS) ? undefined : partsOf(list, NUL);
  return list.includes(NEWLINE) ? partsOf(list, NEWLINE).map(withoutReturn) : partsOf(list, RETURN);
}

function partsOf(bytes: Buffer, separator: number): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at <= bytes.length;) {
    const found = bytes.indexOf(separator, at);
    const end = found < 0 ? bytes.length : found;
    parts.push(bytes.subarray(at, end));
    at = end + 1;
  }
  return parts;
}

const withoutReturn = (line: Buffer) => (line.at(-1) === RETURN ? line.subarray(0, -1) : line);
