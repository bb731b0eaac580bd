import type { Sharp } from 'sharp';
import { messageOf, UserError } from '../errors.js';
import { machineErrorOf } from '../machineError.js';
import { enlarge, neededPixels } from './enlarge.js';
import { NotRead } from './fileKind.js';
import { Gate } from './gate.js';
import { centredView, type Size, type View } from './geometry.js';
import type { PhotoContent, Picture, Unlabelled } from './photo.js';
import { type OpenPhoto, openPhoto } from './openPhoto.js';
import { readPhoto } from './readPhoto.js';
import type { Preprocessing } from '../artifacts/manifest.js';

export { decoderVersion } from './openPhoto.js';

/**
 * libvips keeps the reasons of failures in one place for the whole process, so that one photo may get the reason of another that is
 * decoded at the same time.
 */
const decoding = new Gate();

/**
 * The photo as uint8 RGB, row by row, [height, width, 3]: upright by its EXIF orientation, in sRGB, on white where it is
 * transparent; of an animation the first frame. Resized as Pillow and torchvision do it (bilinear, shrinking with antialiasing),
 * but of a large JPEG the decoder does a part: where its sides are no multiples of that part, the right and lower rim come out
 * up to half a pixel off (at 1207 × 899 → 96 × 96 a value differs by 2 of 255 on average, at sharp edges more).
 * @throws UserError `unreadable-photo`, also for a truncated file; MachineError where it is not the photo's fault.
 */
export async function decodePixels(
  file: string | Buffer | Unlabelled,
  preprocessing: Preprocessing,
): Promise<Uint8Array> {
  if (typeof file === 'string') return decodePhoto({ path: file }, preprocessing);
  if (!Buffer.isBuffer(file)) return decodePhoto(file, preprocessing);
  return decodeContent(file, 'the photo', (photo) => centredView(photo, preprocessing));
}

/** Does what `decodePixels` does for a data set's photo, wherever it lies. */
export async function decodePhoto(photo: Unlabelled, preprocessing: Preprocessing): Promise<Uint8Array> {
  return decodeContent(await readPhoto(photo), photo.path, (size) => centredView(size, preprocessing));
}

/** The whole of a photo in its own size. @throws UserError `unreadable-photo`. */
export async function decodeWhole(photo: Unlabelled): Promise<Picture> {
  let size: Size = { width: 0, height: 0 };
  const pixels = await decodeContent(await readPhoto(photo), photo.path, ({ width, height }) => {
    size = { width, height };
    return { scaled: size, left: 0, top: 0, window: size };
  });
  return { pixels, ...size };
}

/** Does what `decodePixels` does for the view that `viewOf` chooses by the size of the upright photo; `name` is for the error. */
export async function decodeContent(
  content: PhotoContent,
  name: string,
  viewOf: (photo: Size) => View,
): Promise<Uint8Array> {
  return withPhoto(content, name, ({ image, size }) => show(image, size, viewOf(size)));
}

/**
 * What `use` makes of a photo. A photo that fails is tried again while no other is decoded, for the reason to be its own.
 * @throws UserError `unreadable-photo`, with `name`.
 */
export async function withPhoto<T>(
  content: PhotoContent,
  name: string,
  use: (photo: OpenPhoto) => Promise<T>,
): Promise<T> {
  const decode = async () => use(await openPhoto(content));
  try {
    return await decoding.beside(decode).catch((cause: unknown) => {
      if (cause instanceof NotRead) throw cause;
      return decoding.byItself(decode);
    });
  } catch (cause) {
    throw (
      machineErrorOf(cause) ?? new UserError('unreadable-photo', `cannot read ${name}: ${reasonOf(cause)}`, { cause })
    );
  }
}

/** libvips reports several lines, some again and again, some from looking what kind of file it is. */
function reasonOf(cause: unknown): string {
  const message = messageOf(cause).replace(/^Input buffer has corrupt header: */, '');
  if (message === '') return 'its header is damaged or cut off';
  if (message === 'Input buffer contains unsupported image format')
    return 'it is not a picture of a kind that is read (JPEG, PNG, WebP, AVIF, TIFF, GIF)';
  const [, compression] = /(\w+) compression support is not configured/.exec(message) ?? [];
  if (compression !== undefined)
    return `it is compressed with ${compression}, which is not read; save it anew with LZW or Deflate, or as PNG`;
  const lines = message
    .split(/\s*\n\s*/)
    .map((line) => line.replaceAll(/\p{Cc}+/gu, ' ').trim())
    .filter((line) => line !== '');
  const telling = lines.filter((line) => !/^source: bad seek to -?\d+$/.test(line));
  return [...new Set(telling.length > 0 ? telling : lines)].join('; ');
}

/** The decoder and sharp shrink; what has to grow does so here. */
async function show(image: Sharp, photo: Size, { scaled, left, top, window }: View): Promise<Uint8Array> {
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
  const buffer = await image
    // The decoder drops what is left over when it divides a side; fast would let it divide twice as far (lovell/sharp#3526).
    .resize(across.length, down.length, { fit: 'fill', kernel: 'linear', fastShrinkOnLoad: false })
    .extract({ left: columns.first, top: rows.first, width: columns.count, height: rows.count })
    .autoOrient()
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer();
  if (buffer.length !== columns.count * rows.count * 3) throw new Error(`decoded to ${buffer.length} bytes`);
  const pixels = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
  const grows = across.length < scaled.width || down.length < scaled.height;
  return grows ? enlarge(pixels, across, down) : pixels;
}
