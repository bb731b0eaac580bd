import sharp from 'sharp';
import { messageOf, UserError } from '../errors.js';
import type { Preprocessing } from './preprocessing.js';

// Each photo is decoded once, so a cache would only hold memory; several photos at once use the cores better than several
// threads within one.
sharp.cache(false);
sharp.concurrency(1);

/**
 * The photo as uint8 RGB, row by row, [height, width, 3]: upright by its EXIF orientation, in sRGB, on white where it is
 * transparent; of an animation the first frame. Shrinking is triangle-filtered (bilinear with antialiasing, as Pillow and
 * torchvision do it), but of a large JPEG the decoder does a part: where its sides are no multiples of that part, the right and
 * lower rim come out up to half a pixel off (at 1207 × 899 → 96 × 96 a value differs by 2 of 255 on average, at sharp edges more).
 * @throws UserError `unreadable-photo`, also for a truncated file.
 */
export async function decodePixels(
  file: string | Buffer,
  { width, height, resize }: Preprocessing,
): Promise<Uint8Array> {
  try {
    const pixels = await sharp(file, { failOn: 'error', sequentialRead: true })
      .autoOrient()
      .flatten({ background: '#ffffff' })
      // The decoder drops what is left over when it divides a side; fast would let it divide twice as far (lovell/sharp#3526).
      .resize(width, height, {
        fit: resize === 'squash' ? 'fill' : 'cover',
        position: 'centre',
        kernel: 'linear',
        fastShrinkOnLoad: false,
      })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer();
    if (pixels.length !== height * width * 3) throw new Error(`decoded to ${pixels.length} bytes`);
    return new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.length);
  } catch (cause) {
    const name = typeof file === 'string' ? file : 'the photo';
    throw new UserError('unreadable-photo', `cannot read ${name}: ${reasonOf(cause, name)}`, { cause });
  }
}

/** libvips reports several lines, and repeats the file's name. */
function reasonOf(cause: unknown, name: string): string {
  return messageOf(cause)
    .replaceAll(`: ${name}`, '')
    .trim()
    .replaceAll(/\s*\n\s*/g, '; ');
}
