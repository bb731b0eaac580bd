import { readRegularFile } from '../files.js';
import type { Unlabelled } from './photo.js';
import { decodePixels } from './decode.js';
import type { Preprocessing } from '../artifacts/manifest.js';
import { sharp } from './sharp.js';

/** Inferno's colours at 0, ¼, ½, ¾ and 1 (Smith and van der Walt 2015): brighter is hotter, also without colour vision. */
const STOPS = [
  [0, 0, 4],
  [87, 16, 110],
  [188, 55, 84],
  [249, 142, 9],
  [252, 255, 164],
] as const;
/** How much of the photo the hottest place hides. */
const STRONGEST = 0.65;
/** Pixels of the picture's shorter side, at least; a small model's view of a photo would be hard to see. */
const SMALLEST = 384;

/**
 * The part of a photo that the model sees, with `heat` [height, width] from 0 to 1 laid over it, as PNG.
 * @throws UserError `unreadable-photo`.
 */
export async function drawHeatMap(
  file: string | Buffer | Unlabelled,
  preprocessing: Preprocessing,
  { heat, width, height }: { heat: Float32Array; width: number; height: number },
): Promise<Buffer> {
  const scale = Math.max(1, Math.ceil(SMALLEST / Math.min(preprocessing.width, preprocessing.height)));
  const view = { ...preprocessing, width: preprocessing.width * scale, height: preprocessing.height * scale };
  const photo = await decodePixels(file, view);
  const grey = Uint8Array.from(heat, (value) => Math.round(255 * value));
  const smooth = await sharp(grey, { raw: { width, height, channels: 1 } })
    .resize(view.width, view.height, { fit: 'fill', kernel: 'cubic' })
    .toColourspace('b-w')
    .raw()
    .toBuffer();
  const mixed = new Uint8Array(photo.length);
  for (let pixel = 0; pixel < smooth.length; pixel++) {
    const share = (smooth[pixel] ?? 0) / 255;
    const place = Math.min(STOPS.length - 2, Math.floor(share * (STOPS.length - 1)));
    const part = share * (STOPS.length - 1) - place;
    for (const channel of [0, 1, 2] as const) {
      const colour = (STOPS[place]?.[channel] ?? 0) * (1 - part) + (STOPS[place + 1]?.[channel] ?? 0) * part;
      const at = 3 * pixel + channel;
      mixed[at] = (photo[at] ?? 0) * (1 - STRONGEST * share) + colour * STRONGEST * share;
    }
  }
  return sharp(mixed, { raw: { width: view.width, height: view.height, channels: 3 } })
    .withExif({ IFD0: { Software: SOFTWARE } })
    .png()
    .toBuffer();
}

/** What a picture says that it was made by. */
const SOFTWARE = 'ort-tl explain';
/** No picture of ours has more bytes. */
const LARGEST_BYTES = 2 ** 28;

/** Whether there is a file that was made by {@link drawHeatMap}. */
export async function isHeatMap(path: string): Promise<boolean> {
  try {
    const { exif } = await sharp(await readRegularFile(path, LARGEST_BYTES)).metadata();
    return exif?.includes(SOFTWARE) === true;
  } catch {
    return false;
  }
}
