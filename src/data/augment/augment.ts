import { Random } from '../../random.js';
import type { PhotoContent } from '../photo.js';
import { decodeContent } from '../decode.js';
import { centredView } from '../geometry.js';
import type { Preprocessing } from '../../artifacts/manifest.js';
import type { Augmentation } from './augmentation.js';
import { colourJitter } from './colourJitter.js';
import { erase } from './erase.js';
import { flip } from './flip.js';
import { randAugment } from './randAugment.js';
import { randomResizedCrop } from './randomResizedCrop.js';
import { rotation, warp } from './warp.js';

/**
 * One random view of a photo, uint8 RGB [height, width, 3], the same for the same `random`; without any augmentation what
 * `decodePixels` gives. Each part draws from a stream of its own, so that switching one on leaves the others as they were.
 * @throws UserError `unreadable-photo`, with `name`.
 */
export async function augmentPixels(
  content: PhotoContent,
  preprocessing: Preprocessing,
  config: Augmentation,
  random: Random,
  name = 'the photo',
): Promise<Uint8Array> {
  const { width, height, mean } = preprocessing;
  const { crop, jitter } = config;
  let pixels = await decodeContent(content, name, (photo) =>
    crop ? randomResizedCrop(photo, { width, height }, crop, random.fork('crop')) : centredView(photo, preprocessing),
  );
  const picture = () => ({ pixels, width, height });
  if (random.fork('flip').next() < config.flip) pixels = flip(picture());
  if (config.randAugment) pixels = randAugment(picture(), config.randAugment, random.fork('randAugment'));
  if (config.rotate > 0)
    pixels = warp(picture(), rotation(random.fork('rotate').between(-config.rotate, config.rotate)));
  if (jitter) pixels = colourJitter(pixels, jitter, random.fork('jitter'));
  const eraser = random.fork('erase');
  if (eraser.next() < config.erase) {
    const fill = mean.map((value) => Math.round(255 * value));
    pixels = erase(picture(), fill, eraser);
  }
  return pixels;
}

/**
 * What chance decides in view number `view` of the photo whose content has the hash. It follows from the seed, the number and the
 * content alone: not from the photo's place in the list, its name, or the order in which photos are decoded.
 */
export function randomOfView(seed: number, view: number, hash: string): Random {
  return new Random(seed).fork(`view ${view} of ${hash}`);
}
