import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodePixels } from '../../src/data/decode.js';
import type { Preprocessing } from '../../src/artifacts/manifest.js';
import { UserError } from '../../src/errors.js';

let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'ort-tl-decode-'))));
afterAll(() => rm(folder, { recursive: true }));

function to(width: number, height: number, resize: Preprocessing['resize'] = 'squash'): Preprocessing {
  return { width, height, resize, mean: [0, 0, 0], std: [1, 1, 1] };
}

function image(values: number[], width: number, channels: 1 | 2 | 3 | 4) {
  return sharp(Buffer.from(values), { raw: { width, height: values.length / width / channels, channels } });
}

/** A row of grey pixels, written as RGB. */
const row = (...values: number[]) =>
  image(
    values.flatMap((value) => [value, value, value]),
    values.length,
    3,
  );
const RED = [255, 0, 0];
const BLUE = [0, 0, 255];

/** 64 × 32: the left half red, the right half blue. */
const halves = () =>
  image(
    Array.from({ length: 32 }, () => [...Array<number[]>(32).fill(RED), ...Array<number[]>(32).fill(BLUE)]).flat(2),
    64,
    3,
  );

/** Whether JPEG left the pixel at its colour: within 12 of 255. */
const near = (pixels: Uint8Array, at: number, expected: number[]) => {
  const got = [...pixels.subarray(3 * at, 3 * at + 3)];
  expect(
    Math.max(...got.map((value, channel) => Math.abs(value - (expected[channel] ?? NaN)))),
    String(got),
  ).toBeLessThan(12);
};

/** A JPEG with an EXIF block that says nothing but its orientation. */
function withOrientation(jpeg: Buffer, orientation: number): Buffer {
  // A TIFF header, and a directory of one entry: tag 0x0112, a short, once.
  const exif = Buffer.from('Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\0\0\0\0\0\0\0\0', 'latin1');
  exif.writeUInt16LE(orientation, 24);
  const marker = Buffer.from([0xff, 0xe1, 0, exif.length + 2]);
  return Buffer.concat([jpeg.subarray(0, 2), marker, exif, jpeg.subarray(2)]);
}

describe('decodePixels', () => {
  it('gives rows of R, G, B', async () => {
    const values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18];
    expect([...(await decodePixels(await image(values, 3, 3).png().toBuffer(), to(3, 2)))]).toEqual(values);
  });

  it('reads a file by its path', async () => {
    const path = join(folder, 'two words #1.png');
    await row(5, 6).png().toFile(path);
    expect([...(await decodePixels(path, to(2, 1)))]).toEqual([5, 5, 5, 6, 6, 6]);
  });

  it('makes grey three channels', async () => {
    const grey = await image([10, 20], 2, 1).toColourspace('b-w').png().toBuffer();
    expect((await sharp(grey).metadata()).channels).toBe(1);
    expect([...(await decodePixels(grey, to(2, 1)))]).toEqual([10, 10, 10, 20, 20, 20]);
  });

  it('lays what is transparent on white', async () => {
    const clear = await image([...RED, 0, 0, 0, 0, 128], 2, 4)
      .png()
      .toBuffer();
    // 255 · (1 − 128/255) = 127
    expect([...(await decodePixels(clear, to(2, 1)))]).toEqual([255, 255, 255, 127, 127, 127]);
    const greyAndAlpha = await image([0, 0, 100, 255], 2, 2).toColourspace('b-w').png().toBuffer();
    expect([...(await decodePixels(greyAndAlpha, to(2, 1)))]).toEqual([255, 255, 255, 100, 100, 100]);
  });

  it('takes the high byte of 16 bits', async () => {
    const wide = sharp(new Uint16Array([0, 0x8080, 0xffff, 0x0101, 0x0202, 0x0303]), {
      raw: { width: 2, height: 1, channels: 3 },
    });
    const png = await wide.toColourspace('rgb16').png().toBuffer();
    expect((await sharp(png).metadata()).depth).toBe('ushort');
    expect([...(await decodePixels(png, to(2, 1)))]).toEqual([0, 128, 255, 1, 2, 3]);
    const grey = sharp(new Uint16Array([0, 0x8080]), { raw: { width: 2, height: 1, channels: 1 } });
    expect([...(await decodePixels(await grey.toColourspace('grey16').png().toBuffer(), to(2, 1)))]).toEqual([
      0, 0, 0, 128, 128, 128,
    ]);
  });

  it('turns CMYK into RGB', async () => {
    const jpeg = await halves().toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
    expect((await sharp(jpeg).metadata()).space).toBe('cmyk');
    const pixels = await decodePixels(jpeg, to(2, 1));
    expect(pixels.length).toBe(6);
    // Print colours are duller than a screen's, so only the order of the channels is sure.
    const [r = 0, g = 0, b = 0, r2 = 0, g2 = 0, b2 = 0] = pixels;
    expect(r).toBeGreaterThan(200);
    expect(Math.max(g, b)).toBeLessThan(60);
    expect(b2).toBeGreaterThan(Math.max(r2, g2) + 60);
  });

  it('takes the high byte of a 16-bit TIFF', async () => {
    const tiff = await sharp(new Uint16Array([0, 0x8080, 0xffff, 0x0101, 0x0202, 0x0303]), {
      raw: { width: 2, height: 1, channels: 3 },
    })
      .toColourspace('rgb16')
      .tiff({ compression: 'lzw' })
      .toBuffer();
    expect((await sharp(tiff).metadata()).depth).toBe('ushort');
    expect([...(await decodePixels(tiff, to(2, 1)))]).toEqual([0, 128, 255, 1, 2, 3]);
  });

  it.each(['jpeg', 'png', 'webp', 'avif', 'tiff', 'gif'] as const)('reads %s', async (format) => {
    const options = { quality: 95, ...(format === 'avif' ? { chromaSubsampling: '4:4:4' } : {}) };
    const pixels = await decodePixels(await halves().toFormat(format, options).toBuffer(), to(16, 16));
    for (const [at, colour] of [
      [0, RED],
      [15, BLUE],
      [240, RED],
      [255, BLUE],
    ] as const)
      near(pixels, at, colour);
  });

  it.each(['webp', 'avif', 'gif', 'tiff'] as const)('lays what is transparent in %s on white', async (format) => {
    const clear = await sharp({
      create: { width: 16, height: 16, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } },
    })
      .toFormat(format, format === 'tiff' ? { compression: 'lzw' } : {})
      .toBuffer();
    near(await decodePixels(clear, to(1, 1)), 0, [255, 255, 255]);
  });

  it('reads a CMYK TIFF as the CMYK JPEG', async () => {
    const cmyk = halves().toColourspace('cmyk');
    const [tiff, jpeg] = [await cmyk.clone().tiff().toBuffer(), await cmyk.clone().jpeg({ quality: 100 }).toBuffer()];
    const [one, other] = [await decodePixels(tiff, to(2, 1)), await decodePixels(jpeg, to(2, 1))];
    near(one, 0, [...other.subarray(0, 3)]);
    near(one, 1, [...other.subarray(3)]);
  });

  // The eight of the EXIF standard; the photo is 64 × 32, black but for a red left upper and a blue right upper quarter.
  const BLACK = [0, 0, 0];
  const orientations = [
    { orientation: 1, name: 'as stored', corners: [RED, BLUE, BLACK, BLACK] },
    { orientation: 2, name: 'mirrored', corners: [BLUE, RED, BLACK, BLACK] },
    { orientation: 3, name: 'upside down', corners: [BLACK, BLACK, BLUE, RED] },
    { orientation: 4, name: 'upside down, mirrored', corners: [BLACK, BLACK, RED, BLUE] },
    { orientation: 5, name: 'transposed', corners: [RED, BLACK, BLUE, BLACK] },
    { orientation: 6, name: 'a quarter turn clockwise', corners: [BLACK, RED, BLACK, BLUE] },
    { orientation: 7, name: 'transposed the other way', corners: [BLACK, BLUE, BLACK, RED] },
    { orientation: 8, name: 'a quarter turn back', corners: [BLUE, BLACK, RED, BLACK] },
  ];
  const quarters = (scale: number) =>
    halves()
      .composite([{ input: { create: { width: 64, height: 16, channels: 3, background: '#000' } }, left: 0, top: 16 }])
      .png()
      .toBuffer()
      .then((png) => sharp(png).resize(64 * scale, 32 * scale, { kernel: 'nearest' }));

  it.each(orientations)('shows EXIF orientation $orientation upright: $name', async ({ orientation, corners }) => {
    // 24 times as large, the decoder shrinks too.
    for (const scale of [1, 24]) {
      const jpeg = await (
        await quarters(scale)
      )
        .withMetadata({ orientation })
        .jpeg({ quality: 95, chromaSubsampling: '4:4:4' })
        .toBuffer();
      const pixels = await decodePixels(jpeg, to(16, 16));
      [0, 15, 240, 255].forEach((at, corner) => near(pixels, at, corners[corner] ?? []));
      // Upright, the photo is 64 × 32 or 32 × 64: enlarged to cover a square, its middle half is left.
      const cropped = await decodePixels(jpeg, to(128, 128, 'crop'));
      [0, 127, 128 * 127, 128 * 128 - 1].forEach((at, corner) => near(cropped, at, corners[corner] ?? []));
    }
  });

  // Of a large JPEG the decoder does a part of the shrinking, which shows in the pixels. Turned first, all of the photo would be unpacked.
  it.each([2, 3, 4, 5, 6, 7, 8])(
    'shrinks a large JPEG of orientation %d as it does an upright one',
    async (orientation) => {
      const create = { width: 800, height: 640, channels: 3, background: '#777' } as const;
      const noise = sharp({ create: { ...create, noise: { type: 'gaussian', mean: 128, sigma: 60 } } });
      const stored = await noise.jpeg({ quality: 90 }).toBuffer();
      const [width, height] = orientation < 5 ? [50, 40] : [40, 50];
      const upright = await decodePixels(stored, to(50, 40));
      const turned = await decodePixels(withOrientation(stored, orientation), to(width, height));
      // Where a pixel of the upright photo is stored (EXIF 2.32, Orientation).
      const at = (x: number, y: number) => {
        const places: Partial<Record<number, readonly [number, number]>> = {
          2: [49 - x, y],
          3: [49 - x, 39 - y],
          4: [x, 39 - y],
          5: [y, x],
          6: [y, 39 - x],
          7: [49 - y, 39 - x],
          8: [49 - y, x],
        };
        const [column, row] = places[orientation] ?? [x, y];
        return upright.subarray(3 * (50 * row + column), 3 * (50 * row + column) + 3);
      };
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++)
          expect([...turned.subarray(3 * (width * y + x), 3 * (width * y + x) + 3)]).toEqual([...at(x, y)]);
    },
  );

  it.each(['webp', 'avif', 'tiff', 'png'] as const)('shows the EXIF orientation of %s too', async (format) => {
    const turned = await (
      await quarters(1)
    )
      .withMetadata({ orientation: 6 })
      .toFormat(format, { quality: 95 })
      .toBuffer();
    const pixels = await decodePixels(turned, to(16, 16));
    [0, 15, 240, 255].forEach((at, corner) => near(pixels, at, [BLACK, RED, BLACK, BLUE][corner] ?? []));
  });

  it('squashes the whole picture, and crops to the centre of the picture that covers', async () => {
    // Red, green, green, blue in columns of 16.
    const colours = [RED, [0, 255, 0], [0, 255, 0], BLUE];
    const line = colours.flatMap((colour) => Array<number[]>(16).fill(colour));
    const png = await image(Array<number[][]>(32).fill(line).flat(2), 64, 3).png().toBuffer();
    const squashed = await decodePixels(png, to(16, 16, 'squash'));
    expect([...squashed.subarray(0, 3)]).toEqual(RED);
    expect([...squashed.subarray(45, 48)]).toEqual(BLUE);
    const cropped = await decodePixels(png, to(16, 16, 'crop'));
    // Columns 16 to 48 of 64 are all green; the filter reaches a pixel further at the rim.
    for (let column = 1; column < 15; column++)
      expect([...cropped.subarray(3 * column, 3 * column + 3)]).toEqual([0, 255, 0]);
  });

  it('crops the centre of an upright picture too', async () => {
    const png = await image([...RED, ...RED, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0, ...BLUE, ...BLUE], 2, 3)
      .png()
      .toBuffer();
    expect([...(await decodePixels(png, to(2, 2, 'crop')))]).toEqual([0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0]);
  });

  it('shrinks with a triangle filter', async () => {
    const png = await row(0, 40, 80, 120).png().toBuffer();
    // Weights ¼ ¾ ¾ ¼ halve 4 pixels, the rim repeated: (0·¼ + 0·¾ + 40·¾ + 80·¼)/2 = 25, (40·¼ + 80·¾ + 120·¾ + 120·¼)/2 = 95
    expect([...(await decodePixels(png, to(2, 1)))]).toEqual([25, 25, 25, 95, 95, 95]);
  });

  // Values of Pillow 13: Image.resize(…, BILINEAR), for the crop to 8 × 5 and then the middle as torchvision's CenterCrop has it.
  it.each([
    {
      name: 'both sides',
      photo: [0, 37, 148, 91, 181, 89],
      width: 3,
      view: to(7, 5),
      within: 1,
      expected: [
        [0, 5, 21, 37, 85, 132, 148],
        [9, 15, 33, 51, 91, 129, 142],
        [46, 55, 82, 109, 114, 117, 119],
        [82, 94, 130, 167, 136, 105, 95],
        [91, 104, 142, 181, 142, 102, 89],
      ],
    },
    {
      name: 'the height, while the width shrinks',
      photo: [0, 37, 148, 91, 181, 89],
      width: 3,
      view: to(2, 5),
      // Where it shrinks, libvips repeats the rim and Pillow leaves out what lies beyond it.
      within: 5,
      expected: [
        [14, 106],
        [25, 108],
        [70, 115],
        [114, 122],
        [125, 124],
      ],
    },
    {
      name: 'and crops',
      photo: [0, 37, 148, 77, 80, 91, 181, 89, 71, 127, 182, 69, 30, 65, 174],
      width: 5,
      view: to(5, 5, 'crop'),
      within: 1,
      expected: [
        [44, 113, 126, 81, 79],
        [96, 115, 109, 77, 89],
        [175, 118, 83, 72, 103],
        [110, 72, 58, 67, 117],
        [67, 42, 41, 63, 126],
      ],
    },
  ])('enlarges $name as Pillow does', async ({ photo, width, view, within, expected }) => {
    const png = await image(
      photo.flatMap((value) => [value, value, value]),
      width,
      3,
    )
      .png()
      .toBuffer();
    const red = (await decodePixels(png, view)).filter((_, at) => at % 3 === 0);
    expect(red).toHaveLength(expected.flat().length);
    expected.flat().forEach((value, at) => expect(Math.abs((red[at] ?? NaN) - value)).toBeLessThanOrEqual(within));
  });

  // Black up to nine tenths, then white: the filter keeps areas, so the darkness of a line adds up to where the edge lies.
  it.each([
    [1207, 899, 96],
    [1207, 899, 32],
    [1200, 900, 96],
    [1023, 767, 48],
    [641, 479, 48],
    [4032, 3024, 224],
  ])('shows an edge in a JPEG of %d × %d where it belongs, to half a pixel of %d', async (width, height, side) => {
    for (const across of [true, false]) {
      const edge = Math.round(0.9 * (across ? width : height));
      const black = {
        width: across ? edge : width,
        height: across ? height : edge,
        channels: 3,
        background: '#000',
      } as const;
      const jpeg = await sharp({ create: { width, height, channels: 3, background: '#fff' } })
        .composite([{ input: { create: black }, left: 0, top: 0 }])
        .jpeg({ quality: 95 })
        .toBuffer();
      const pixels = await decodePixels(jpeg, to(side, side));
      const middle = Math.floor(side / 2);
      let dark = 0;
      for (let at = 0; at < side; at++)
        dark += 1 - (pixels[3 * (across ? middle * side + at : at * side + middle)] ?? NaN) / 255;
      expect(Math.abs(dark - (side * edge) / (across ? width : height))).toBeLessThan(0.5);
    }
  });

  it('takes the first frame of an animation', async () => {
    const frames = await sharp([await row(0, 0).png().toBuffer(), await row(255, 255).png().toBuffer()], {
      join: { animated: true },
    })
      .gif()
      .toBuffer();
    expect((await sharp(frames).metadata()).pages).toBe(2);
    expect([...(await decodePixels(frames, to(1, 1)))]).toEqual([0, 0, 0]);
  });

  describe('refuses in one line, with the file and the reason,', () => {
    it.each([
      'half of a JPEG',
      'a JPEG without its last bytes',
      'half of a PNG',
      'a text',
      'an empty file',
      'a missing file',
    ])('%s', async (what) => {
      const photo = sharp({
        create: {
          width: 300,
          height: 200,
          channels: 3,
          background: '#777',
          noise: { type: 'gaussian', mean: 128, sigma: 40 },
        },
      });
      const jpeg = await photo.jpeg().toBuffer();
      const png = await photo.png().toBuffer();
      const content: Record<string, Buffer> = {
        'half of a JPEG': jpeg.subarray(0, jpeg.length / 2),
        'a JPEG without its last bytes': jpeg.subarray(0, jpeg.length - 20),
        'half of a PNG': png.subarray(0, png.length / 2),
        'a text': Buffer.from('not a photo'),
        'an empty file': Buffer.alloc(0),
      };
      const path = join(folder, `${what}.jpg`);
      if (content[what]) await writeFile(path, content[what]);
      const thrown: unknown = await decodePixels(path, to(8, 8)).catch((error: unknown) => error);
      expect(thrown).toBeInstanceOf(UserError);
      expect(thrown).toMatchObject({ code: 'unreadable-photo' });
      const message = (thrown as UserError).message;
      expect(message.startsWith(`cannot read ${path}: `)).toBe(true);
      expect(message.split(path)).toHaveLength(2);
      expect(message).not.toContain('\n');
      expect(message).not.toMatch(/: $/);
    });
  });
});
