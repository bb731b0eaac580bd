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
 * torchvision do it); for JPEG the decoder does part of it, which moves a value by 0.2 of 255 on average.
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
      .resize(width, height, { fit: resize === 'squash' ? 'fill' : 'cover', position: 'centre', kernel: 'linear' })
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
  return messageOf(cause).replaceAll(`: ${name}`, '').trim().replaceAll(/\s*\n\s*/g, '; ');
}
