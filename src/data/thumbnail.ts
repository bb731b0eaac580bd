import sharp from 'sharp';
import type { Unlabelled } from './dataset.js';
import { readPhoto } from './photo.js';

/** A small JPEG of a photo, its longer side `side` pixels. */
export async function thumbnailOf(photo: Unlabelled, side: number): Promise<Buffer> {
  const content = await readPhoto(photo);
  const image =
    'pixels' in content
      ? sharp(content.pixels, { raw: { width: content.width, height: content.height, channels: 3 } })
      : sharp(content);
  return image
    .autoOrient()
    .flatten({ background: '#ffffff' })
    .resize(side, side, { fit: 'inside' })
    .jpeg({ quality: 80 })
    .toBuffer();
}
