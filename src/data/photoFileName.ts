import { extname } from 'node:path';
import { isPhotoName } from './photoTypes.js';
import { systemFile } from './systemFiles.js';

/** File systems take names of 255 bytes, and a number may have to be added. */
const MOST_NAME_BYTES = 200;
/** What files of a kind begin with, as Latin-1, and how they are called. */
const KINDS: readonly (readonly [RegExp, string])[] = [
  [/^\xff\xd8\xff/, '.jpg'],
  [/^\x89PNG/, '.png'],
  [/^GIF8/, '.gif'],
  [/^RIFF[^]{4}WEBP/, '.webp'],
  [/^[^]{4}ftyp/, '.avif'],
  [/^(II\*\0|MM\0\*)/, '.tif'],
];
/** What Windows does not allow in a name, and names that it keeps for devices. */
const NOT_ON_WINDOWS = /[<>:"|?*]/g;
const DEVICES = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/**
 * What a photo that comes from elsewhere is called on disk: `name` without what leads out of a folder, hides the file or disturbs who lists
 * it, short enough, and with an extension by which it is known for a photo; where it has none, that of its `bytes`.
 */
export function photoFileName(name: string, bytes: Uint8Array): string {
  const last = (name.split(/[/\\]/).at(-1) ?? '').normalize('NFC');
  const shown = last.replaceAll(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/gu, '').replace(/^[.\s]+/u, '');
  const allowed = process.platform === 'win32' ? shown.replaceAll(NOT_ON_WINDOWS, '_').replace(DEVICES, '_$&') : shown;
  const extension = isPhotoName(allowed) ? extname(allowed) : extensionOf(bytes);
  const own = isPhotoName(allowed) ? allowed.slice(0, -extension.length) : allowed;
  const stem = shortened(own, MOST_NAME_BYTES - Buffer.byteLength(extension)).replace(/[.\s]+$/u, '');
  const named = `${stem === '' ? 'photo' : stem}${extension}`;
  // Such a file would be left out as a NAS's own.
  return systemFile(named) === undefined ? named : `photo-${named}`;
}

function extensionOf(bytes: Uint8Array): string {
  const start = Buffer.from(bytes.subarray(0, 16)).toString('latin1');
  return KINDS.find(([begin]) => begin.test(start))?.[1] ?? '.jpg';
}

/** As many whole characters of `text` as fit into `bytes` in UTF-8. */
function shortened(text: string, bytes: number): string {
  let [result, left] = ['', bytes];
  for (const character of text) {
    left -= Buffer.byteLength(character);
    if (left < 0) break;
    result += character;
  }
  return result;
}
