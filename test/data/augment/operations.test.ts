import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { adjustBrightness, adjustContrast, adjustHue, adjustSaturation } from '../../../src/data/augment/colour.js';
import { flip } from '../../../src/data/augment/flip.js';
import { adjustSharpness } from '../../../src/data/augment/sharpness.js';
import { autoContrast, equalize, posterize, solarize } from '../../../src/data/augment/tone.js';
import { rotation, shearX, shearY, translation, warp } from '../../../src/data/augment/warp.js';

// Written by make_operations.py with torchvision.
const pixels = z.array(z.number()).transform((values) => Uint8Array.from(values));
const fixture = z
  .object({
    width: z.number(),
    height: z.number(),
    picture: pixels,
    levels: pixels,
    results: z.record(z.string(), pixels),
  })
  .parse(JSON.parse(readFileSync(new URL('../../fixtures/torchvision/operations.json', import.meta.url), 'utf8')));
const picture = { width: fixture.width, height: fixture.height, pixels: fixture.picture };

it.each<[string, () => Uint8Array]>([
  ['flip', () => flip(picture)],
  ['rotate 25', () => warp(picture, rotation(25))],
  ['rotate -140', () => warp(picture, rotation(-140))],
  ['shear x 0.3', () => warp(picture, shearX(picture, 0.3))],
  ['shear y -0.2', () => warp(picture, shearY(picture, -0.2))],
  ['translate x 2', () => warp(picture, translation(2, 0))],
  ['translate y -3', () => warp(picture, translation(0, -3))],
  ['brightness 1.4', () => adjustBrightness(picture.pixels, 1.4)],
  ['contrast 0.3', () => adjustContrast(picture.pixels, 0.3)],
  ['contrast 1.7', () => adjustContrast(picture.pixels, 1.7)],
  ['saturation 0.2', () => adjustSaturation(picture.pixels, 0.2)],
  ['saturation 1.9', () => adjustSaturation(picture.pixels, 1.9)],
  ['hue 0.1', () => adjustHue(picture.pixels, 0.1)],
  ['hue -0.4', () => adjustHue(picture.pixels, -0.4)],
  ['sharpness 1.9', () => adjustSharpness(picture, 1.9)],
  ['sharpness 0.1', () => adjustSharpness(picture, 0.1)],
  ['posterize 3', () => posterize(picture.pixels, 3)],
  ['solarize 128', () => solarize(picture.pixels, 128)],
  ['autocontrast', () => autoContrast(picture.pixels)],
  ['equalize', () => equalize(fixture.levels)],
])('does %s as torchvision does, to 1 of 255', (name, operate) => {
  const expected = fixture.results[name];
  const before = [fixture.picture.slice(), fixture.levels.slice()];
  const got = operate();
  expect(got).toHaveLength(expected?.length ?? NaN);
  const off = got.map((value, at) => Math.abs(value - (expected?.[at] ?? NaN)));
  expect(Math.max(...off), `${[...got].join()}\n${expected?.join() ?? ''}`).toBeLessThanOrEqual(1);
  expect([fixture.picture, fixture.levels], 'the picture itself is left alone').toEqual(before);
});

it('leaves the picture as it is at the strength that changes nothing', () => {
  for (const same of [
    warp(picture, rotation(0)),
    adjustBrightness(picture.pixels, 1),
    adjustContrast(picture.pixels, 1),
    adjustSaturation(picture.pixels, 1),
    adjustHue(picture.pixels, 0),
    adjustSharpness(picture, 1),
    posterize(picture.pixels, 8),
    solarize(picture.pixels, 256),
  ])
    expect(same).toEqual(picture.pixels);
});

it('stretches and equalizes a picture of one colour to itself', () => {
  const plain = new Uint8Array(300).fill(77);
  expect(autoContrast(plain)).toEqual(plain);
  expect(equalize(plain)).toEqual(plain);
});
