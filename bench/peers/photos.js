// Photos that are drawn, and how fast sharp alone decodes them.
import { copyFileSync, linkSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { Random } from '../../dist/random.js';

/** As phones make them: 12 megapixels, 4:2:0, held in one of these ways. */
export const PHONE = { width: 4032, height: 3024, orientations: [1, 6, 3, 8] };
/** The size that networks take. */
export const SMALL = { width: 224, height: 224, orientations: [1] };
const QUALITY = 90;
/** How far noise goes up and down; 4 MB a photo of 12 megapixels come of it. */
const NOISE = 14;
const CLASSES = 4;

/**
 * Draws photos, the same ones for the same seed: `train/<class>` and `val/<class>`, of which one in four validates. Only `pictures` of
 * them differ; the others are further names of these.
 * @param {string} folder
 * @param {{ kind: { width: number, height: number, orientations: readonly number[] }, photos: number, pictures: number, seed?: number }} options
 */
export async function drawPhotos(folder, { kind, photos, pictures, seed = 0 }) {
  const { width, height, orientations } = kind;
  mkdirSync(join(folder, 'drawn'), { recursive: true });
  /** @type {string[]} */
  const drawn = [];
  for (let picture = 0; picture < pictures; picture++) {
    const file = join(folder, 'drawn', `${picture}.jpg`);
    const pixels = drawPixels(width, height, new Random(seed).fork(`picture ${picture}`));
    const orientation = orientations[picture % orientations.length] ?? 1;
    await sharp(pixels, { raw: { width, height, channels: 3 } })
      .jpeg({ quality: QUALITY, chromaSubsampling: '4:2:0' })
      .withMetadata({ orientation })
      .toFile(file);
    drawn.push(file);
  }
  const set = join(folder, 'photos');
  for (let photo = 0; photo < photos; photo++) {
    const label = photo % CLASSES;
    const place = join(set, Math.floor(photo / CLASSES) % 4 === 3 ? 'val' : 'train', `class ${label}`);
    mkdirSync(place, { recursive: true });
    link(drawn[photo % drawn.length] ?? '', join(place, `${String(photo).padStart(5, '0')}.jpg`));
  }
  return set;
}

/** @type {(from: string, to: string) => void} */
function link(from, to) {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}

/**
 * Waves across and down, under noise; RGB, row by row.
 * @param {number} width
 * @param {number} height
 * @param {Random} random
 */
function drawPixels(width, height, random) {
  /** @type {(length: number) => Float32Array[]} */
  const waves = (length) =>
    Array.from({ length: 3 }, () => {
      const [turns, from] = [1 + 6 * random.next(), 2 * Math.PI * random.next()];
      return Float32Array.from({ length }, (_, at) => 60 * Math.sin(from + (2 * Math.PI * turns * at) / length));
    });
  const [across, down] = [waves(width), waves(height)];
  let state = Math.floor(random.next() * 2 ** 31);
  const pixels = new Uint8ClampedArray(width * height * 3);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let band = 0; band < 3; band++) {
        state = (Math.imul(state, 1664525) + 1013904223) | 0;
        const noise = ((state >>> 16) / 2 ** 15 - 1) * NOISE;
        pixels[at++] = 128 + (across[band]?.[x] ?? 0) + (down[band]?.[y] ?? 0) + noise;
      }
  return pixels;
}

/**
 * Photos a second that sharp alone makes upright pixels of a network's size of, as many at once as there are cores: in sharp's own way, and
 * without the last halving by the decoder, by which pixels come out as Pillow's.
 * @param {{ data: string, size?: number, threads?: number }} settings
 */
export async function measureDecoding({ data, size = 224, threads = 0 }) {
  const files = readdirSync(data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  sharp.concurrency(1);
  sharp.cache(false);
  const atOnce = threads || availableParallelism();
  /** @param {boolean} fastShrinkOnLoad */
  const rate = async (fastShrinkOnLoad) => {
    const left = files.values();
    const decode = async () => {
      for (const file of left)
        await sharp(readFileSync(file))
          .autoOrient()
          .resize(size, size, { fit: 'cover', kernel: 'linear', fastShrinkOnLoad })
          .toColourspace('srgb')
          .raw()
          .toBuffer();
    };
    const began = performance.now();
    await Promise.all(Array.from({ length: atOnce }, decode));
    return (1000 * files.length) / (performance.now() - began);
  };
  const photosPerSecond = await rate(true);
  return { photosPerSecond, exactPhotosPerSecond: await rate(false), photos: files.length };
}
