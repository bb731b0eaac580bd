import { expect, it } from 'vitest';
import { decodePixels } from '../../src/data/decode.js';
import { seededPicture } from './seededPicture.js';

const COUNT = 440;

// The truth follows from the samples that were written, by the definitions of the profile's colours, of alpha and of EXIF's
// orientations (see seededPicture.ts); it was compared with Pillow 13 and its ImageCms too.
it(`decodes ${COUNT} pictures of every depth, colour space, profile, alpha, orientation and format to within 2 of 255`, async () => {
  const wrong: string[] = [];
  for (let seed = 0; seed < COUNT; seed++) {
    const { name, file, width, height, truth } = await seededPicture(seed);
    const pixels = await decodePixels(file, { width, height, resize: 'squash', mean: [0, 0, 0], std: [1, 1, 1] });
    expect(pixels.length, name).toBe(truth.length);
    const off = Math.max(...truth.map((value, at) => Math.abs(value - (pixels[at] ?? NaN))));
    if (!(off <= 2)) wrong.push(`${name}: off by ${off.toFixed(1)}`);
  }
  expect(wrong).toEqual([]);
});
