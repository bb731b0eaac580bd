import type { Unlabelled } from './photo.js';
import { withPhoto } from './decode.js';
import { readPhoto } from './readPhoto.js';

/** A small JPEG of a photo, its longer side `side` pixels. @throws UserError `unreadable-photo`. */
export async function thumbnailOf(photo: Unlabelled, side: number): Promise<Buffer> {
  return withPhoto(await readPhoto(photo), photo.path, ({ image }) =>
    image.resize(side, side, { fit: 'inside' }).autoOrient().jpeg({ quality: 80 }).toBuffer(),
  );
}
