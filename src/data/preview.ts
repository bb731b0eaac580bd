import { withPhoto } from './decode.js';
import type { Unlabelled } from './photo.js';
import { readPhoto } from './readPhoto.js';

export interface PreviewOptions {
  /** The most pixels of a side; a smaller photo is not enlarged. */
  readonly side: number;
  readonly format: 'webp' | 'jpeg';
  /** What errors call a photo that comes as bytes; default `the photo`. */
  readonly name?: string;
}

const QUALITY = 80;
/** Of six: the last ones take several times as long for a file that is hardly smaller. */
const WEBP_EFFORT = 2;

/**
 * A photo as a browser shows it: upright, in sRGB, on white where it is transparent, without anything else that the file holds. The whole file
 * is decoded.
 * @throws UserError `unreadable-photo`, also for a truncated file; MachineError where it is not the photo's fault.
 */
export async function previewOf(
  photo: Unlabelled | Buffer,
  { side, format, name = 'the photo' }: PreviewOptions,
): Promise<Buffer> {
  const isFile = !Buffer.isBuffer(photo);
  return withPhoto(isFile ? await readPhoto(photo) : photo, isFile ? photo.path : name, ({ image }) => {
    const small = image.resize(side, side, { fit: 'inside', withoutEnlargement: true }).autoOrient();
    return (
      format === 'webp' ? small.webp({ quality: QUALITY, effort: WEBP_EFFORT }) : small.jpeg({ quality: QUALITY })
    ).toBuffer();
  });
}
