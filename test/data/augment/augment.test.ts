import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { augmentPixels, randomOfView } from '../../../src/data/augment/augment.js';
import { type Augmentation, parseAugmentation, variesPhotos } from '../../../src/data/augment/augmentation.js';
import { decodePhoto } from '../../../src/data/decode.js';
import type { Unlabelled } from '../../../src/data/photo.js';
import { PhotoReader } from '../../../src/data/photoReader.js';
import { contentHash, readPhoto } from '../../../src/data/readPhoto.js';
import type { Preprocessing } from '../../../src/artifacts/manifest.js';
import { Random } from '../../../src/random.js';

const preprocessing: Preprocessing = { width: 24, height: 20, resize: 'crop', mean: [0.5, 0.4, 0.3], std: [1, 1, 1] };
const everything = parseAugmentation({
  crop: {},
  flip: 0.5,
  rotate: 15,
  jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
  randAugment: {},
  erase: 0.5,
});
const hex = (pixels: Uint8Array) => Buffer.from(pixels).toString('hex');

let folder: string;
const photos: { path: string; label: number }[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ort-tl-augment-'));
  for (let at = 0; at < 12; at++) {
    const path = join(folder, `${at}.png`);
    const noise = Buffer.from(Array.from({ length: 40 * 30 * 3 }, (_, pixel) => (pixel * (at + 3) + at) % 256));
    await writeFile(
      path,
      await sharp(noise, { raw: { width: 40, height: 30, channels: 3 } })
        .png()
        .toBuffer(),
    );
    photos.push({ path, label: 0 });
  }
});
afterAll(() => rm(folder, { recursive: true }));

/** View number `view` of a photo, read and decoded. */
async function decodeView(photo: Unlabelled, config: Augmentation, seed: number, view: number): Promise<Uint8Array> {
  const content = await readPhoto(photo);
  return augmentPixels(content, preprocessing, config, randomOfView(seed, view, contentHash(content)), photo.path);
}

describe('a view of a photo', () => {
  const views = async (list: typeof photos, { config = everything, seed = 1, view = 0, concurrency = 4 }) => {
    const reader = new PhotoReader((photo) => decodeView(photo, config, seed, view));
    const found = new Map<string, string>();
    for await (const read of reader.read(list, preprocessing, { concurrency })) {
      if ('error' in read) throw read.error;
      found.set(read.photo.path, hex(read.decoded));
    }
    return found;
  };

  it('gives the same bytes in any order, at any concurrency, among any others', async () => {
    const all = await views(photos, { concurrency: 1 });
    expect(new Set(all.values()).size).toBe(photos.length);
    const backwards = await views([...photos].reverse(), { concurrency: 12 });
    for (const { path } of photos) expect(backwards.get(path)).toBe(all.get(path));
    const [, second] = photos;
    if (second) expect((await views([second], {})).get(second.path)).toBe(all.get(second.path));
  });

  it('gives other bytes for another view and another seed', async () => {
    const [first] = photos;
    if (!first) throw new Error('no photo');
    const seen = [{}, { view: 1 }, { seed: 2 }].map(async (options) => (await views([first], options)).get(first.path));
    expect(new Set(await Promise.all(seen)).size).toBe(3);
  });

  it('follows the content, not the name', async () => {
    const [first] = photos;
    if (!first) throw new Error('no photo');
    const copy = join(folder, 'copy.png');
    await writeFile(copy, await sharp(first.path).png().toBuffer());
    const [own, other] = [await views([first], {}), await views([{ path: copy, label: 0 }], {})];
    expect(other.get(copy)).toBe(own.get(first.path));
  });

  it('gives what decodePhoto gives where nothing varies', async () => {
    const off = parseAugmentation({});
    expect([variesPhotos(off), variesPhotos(everything)]).toEqual([false, true]);
    for (const photo of photos)
      expect(await decodeView(photo, off, 1, 3)).toEqual(await decodePhoto(photo, preprocessing));
  });

  it('names the photo that it cannot read', async () => {
    const path = join(folder, 'text.jpg');
    await writeFile(path, 'not a photo');
    await expect(decodeView({ path }, everything, 1, 0)).rejects.toMatchObject({
      code: 'unreadable-photo',
      message: expect.stringContaining(path) as string,
    });
  });
});

describe('augmentPixels', () => {
  /** A gradient: red follows x, green follows y, from 0 to 255. */
  const side = 256;
  const gradient = {
    width: side,
    height: side,
    pixels: Uint8Array.from({ length: side * side * 3 }, (_, at) => {
      const pixel = Math.floor(at / 3);
      return [pixel % side, Math.floor(pixel / side), 0][at % 3] ?? 0;
    }),
  };
  const window: Preprocessing = { ...preprocessing, width: 32, height: 32 };
  const seeds = Array.from({ length: 60 }, (_, seed) => seed);
  const view = (config: object, seed: number) =>
    augmentPixels(gradient, window, parseAugmentation(config), new Random(seed));
  const at = (pixels: Uint8Array, x: number, y: number) => [...pixels.subarray(3 * (32 * y + x), 3 * (32 * y + x) + 3)];

  it('crops parts of the shares and ratios that were asked for', async () => {
    for (const seed of seeds) {
      const pixels = await view({ crop: { scale: [0.1, 0.5], ratio: [0.5, 2] } }, seed);
      // The gradient tells how many photo pixels a step of the window is.
      const [left = 0] = at(pixels, 2, 16);
      const [right = 0] = at(pixels, 29, 16);
      const [, top = 0] = at(pixels, 16, 2);
      const [, bottom = 0] = at(pixels, 16, 29);
      const [width, height] = [((right - left) / 27) * 32, ((bottom - top) / 27) * 32];
      const share = (width * height) / side ** 2;
      expect(share).toBeGreaterThan(0.09);
      expect(share).toBeLessThan(0.53);
      expect(width / height).toBeGreaterThan(0.45);
      expect(width / height).toBeLessThan(2.2);
    }
  });

  it('enlarges a part of a photo to where the same part of the photo enlarged by itself lies', async () => {
    const config = { crop: { scale: [0.01, 0.01], ratio: [1, 1] } };
    const pixels = await view(config, 3);
    const [[r0 = 0, g0 = 0], [r1 = 0, g1 = 0]] = [at(pixels, 0, 0), at(pixels, 31, 31)];
    // A hundredth of the area is 26 pixels a side.
    for (const range of [r1 - r0, g1 - g0]) expect(Math.abs(range - 25)).toBeLessThanOrEqual(2);
  });

  it('mirrors about as often as asked', async () => {
    const mirrored = await Promise.all(
      seeds.map(async (seed) => (at(await view({ flip: 0.5 }, seed), 0, 0)[0] ?? 0) > 128),
    );
    const count = mirrored.filter(Boolean).length;
    // Standard deviation 3.9.
    expect(Math.abs(count - 30)).toBeLessThan(16);
    expect(at(await view({ flip: 1 }, 0), 0, 0)[0]).toBeGreaterThan(245);
  });

  it('erases one rectangle of the mean colour', async () => {
    const fill = window.mean.map((value) => Math.round(255 * value));
    for (const seed of seeds.slice(0, 20)) {
      const pixels = await view({ erase: 1 }, seed);
      const inside = Array.from({ length: 32 * 32 }, (_, place) => place).filter((place) =>
        fill.every((value, channel) => pixels[3 * place + channel] === value),
      );
      const [xs, ys] = [inside.map((place) => place % 32), inside.map((place) => Math.floor(place / 32))];
      const [columns, rows] = [Math.max(...xs) - Math.min(...xs) + 1, Math.max(...ys) - Math.min(...ys) + 1];
      expect(inside.length).toBe(columns * rows);
      expect(inside.length / 32 ** 2).toBeGreaterThan(0.01);
      expect(inside.length / 32 ** 2).toBeLessThan(0.37);
    }
  });

  it('turns by no more than was asked', async () => {
    for (const seed of seeds.slice(0, 20)) {
      const pixels = await view({ rotate: 20 }, seed);
      const [[r0 = 0, g0 = 0], [r1 = 0, g1 = 0]] = [at(pixels, 10, 16), at(pixels, 22, 16)];
      expect(Math.abs(Math.atan2(g1 - g0, r1 - r0) * (180 / Math.PI))).toBeLessThan(21);
    }
  });

  it('leaves the other parts as they were when one is switched on', async () => {
    const [alone, both] = [await view({ crop: {} }, 5), await view({ crop: {}, erase: 1 }, 5)];
    const differing = alone.filter((value, place) => value !== both[place]).length;
    expect(differing).toBeGreaterThan(0);
    expect(differing).toBeLessThan(alone.length * 0.37);
  });

  it('runs every operation of RandAugment at every magnitude', async () => {
    for (const magnitude of [0, 9, 30])
      for (const seed of seeds) {
        const pixels = await view({ randAugment: { operations: 3, magnitude } }, seed);
        expect(pixels).toHaveLength(32 * 32 * 3);
      }
  });
});

describe('parseAugmentation', () => {
  it('fills in what is left out', () => {
    const config: Augmentation = parseAugmentation({ crop: {}, randAugment: { magnitude: 5 } });
    expect(config).toEqual({
      crop: { scale: [0.08, 1], ratio: [3 / 4, 4 / 3] },
      flip: 0,
      rotate: 0,
      randAugment: { operations: 2, magnitude: 5 },
      erase: 0,
      mixup: 0,
      cutmix: 0,
    });
  });

  it.each([
    ['flip', { flip: 1.5 }],
    ['crop.scale', { crop: { scale: [0.5, 0.1] } }],
    ['jitter.hue', { jitter: { hue: 0.6 } }],
    ['randAugment.operations', { randAugment: { operations: 0 } }],
    ['mixup', { mixup: -1 }],
  ])('refuses a wrong %s and names it', (field, value) => {
    expect(() => parseAugmentation(value)).toThrow(expect.objectContaining({ code: 'bad-augmentation' }));
    expect(() => parseAugmentation(value)).toThrow(`wrong at ${field}:`);
  });

  it('refuses an unknown part', () => {
    expect(() => parseAugmentation({ filp: 1 })).toThrow('filp');
  });
});
