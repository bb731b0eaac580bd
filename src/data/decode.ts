import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { messageOf, UserError } from '../errors.js';
import { enlarge, neededPixels } from './enlarge.js';
import { centredView, type Size, type View } from './geometry.js';
import type { Preprocessing } from './preprocessing.js';

// Each photo is decoded once, so a cache would only hold memory; several photos at once use the cores better than several
// threads within one.
sharp.cache(false);
sharp.concurrency(1);

/** Of sharp. */
export const decoderVersion = sharp.versions.sharp;

const OPTIONS = { failOn: 'error', sequentialRead: true } as const;

/**
 * The photo as uint8 RGB, row by row, [height, width, 3]: upright by its EXIF orientation, in sRGB, on white where it is
 * transparent; of an animation the first frame. Resized as Pillow and torchvision do it (bilinear, shrinking with antialiasing),
 * but of a large JPEG the decoder does a part: where its sides are no multiples of that part, the right and lower rim come out
 * up to half a pixel off (at 1207 × 899 → 96 × 96 a value differs by 2 of 255 on average, at sharp edges more).
 * @throws UserError `unreadable-photo`, also for a truncated file.
 */
export async function decodePixels(file: string | Buffer, preprocessing: Preprocessing): Promise<Uint8Array> {
  try {
    const bytes = typeof file === 'string' ? await readFile(file) : file;
    const { autoOrient: photo } = await sharp(bytes, OPTIONS).metadata();
    return await pixelsOf(bytes, photo, centredView(photo, preprocessing));
  } catch (cause) {
    const name = typeof file === 'string' ? file : 'the photo';
    throw new UserError('unreadable-photo', `cannot read ${name}: ${reasonOf(cause, name)}`, { cause });
  }
}

/** The decoder and sharp shrink; what has to grow does so here. */
async function pixelsOf(bytes: Buffer, photo: Size, { scaled, left, top, window }: View): Promise<Uint8Array> {
  const across = {
    length: Math.min(photo.width, scaled.width),
    scaled: scaled.width,
    first: left,
    count: window.width,
  };
  const down = {
    length: Math.min(photo.height, scaled.height),
    scaled: scaled.height,
    first: top,
    count: window.height,
  };
  const columns = neededPixels(across);
  const rows = neededPixels(down);
  const buffer = await sharp(bytes, OPTIONS)
    .autoOrient()
    .flatten({ background: '#ffffff' })
    // The decoder drops what is left over when it divides a side; fast would let it divide twice as far (lovell/sharp#3526).
    .resize(across.length, down.length, { fit: 'fill', kernel: 'linear', fastShrinkOnLoad: false })
    .extract({ left: columns.first, top: rows.first, width: columns.count, height: rows.count })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer();
  if (buffer.length !== columns.count * rows.count * 3) throw new Error(`decoded to ${buffer.length} bytes`);
  const pixels = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
  const grows = across.length < scaled.width || down.length < scaled.height;
  return grows ? enlarge(pixels, across, down) : pixels;
}

/** libvips reports several lines; it and Node repeat the file's name. */
function reasonOf(cause: unknown, name: string): string {
  return messageOf(cause)
    .replaceAll(`: ${name}`, '')
    .replace(/, open '.*'$/s, '')
    .trim()
    .replaceAll(/\s*\n\s*/g, '; ');
}
