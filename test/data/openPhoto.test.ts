import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { Preprocessing } from '../../src/artifacts/manifest.js';
import { UserError } from '../../src/errors.js';
import { decodePhoto, decodePixels } from '../../src/data/decode.js';
import { thumbnailOf } from '../../src/data/thumbnail.js';
import { PROFILES } from './iccFile.js';
import { pngFile } from './pngFile.js';
import { tiffFile } from './tiffFile.js';

const to = (width: number, height: number): Preprocessing => ({
  width,
  height,
  resize: 'squash',
  mean: [0, 0, 0],
  std: [1, 1, 1],
});
const folder = mkdtempSync(join(tmpdir(), 'ort-tl-open-'));
const fixture = (name: string) => new URL(`../fixtures/pictures/${name}`, import.meta.url);

const RED = [200, 40, 40];
const GREEN = [40, 180, 60];
/** Red and green beside each other, of 16 bits. */
const wide = (icc?: Buffer) =>
  pngFile({
    width: 2,
    height: 1,
    kind: 'rgb',
    bits: 16,
    samples: [...RED, ...GREEN].map((value) => 257 * value),
    ...(icc ? { icc } : {}),
  });

describe('the profile of a picture of 16 bits', () => {
  it('that says sRGB changes nothing', async () => {
    expect([...(await decodePixels(wide(PROFILES.sRGB.bytes), to(2, 1)))]).toEqual([...RED, ...GREEN]);
  });

  it.each([
    ['is junk', Buffer.from('no profile '.repeat(40))],
    ['is cut off', PROFILES['Adobe RGB'].bytes.subarray(0, 200)],
    ['is one of grey', PROFILES['grey 1.8'].bytes],
    ['is one of inks', PROFILES.inks.bytes],
  ])('that %s is passed over, as for 8 bits', async (_, icc) => {
    expect([...(await decodePixels(wide(icc), to(2, 1)))]).toEqual([...RED, ...GREEN]);
    const tiff = tiffFile({
      width: 2,
      height: 1,
      photometric: 2,
      samplesPerPixel: 3,
      bits: 16,
      samples: [...RED, ...GREEN].map((value) => 257 * value),
      icc,
    });
    expect([...(await decodePixels(tiff, to(2, 1)))]).toEqual([...RED, ...GREEN]);
  });

  it('is heeded in thumbnails too', async () => {
    const path = join(folder, 'wide.png');
    const samples = Array.from({ length: 256 }, () => RED.map((value) => 257 * value)).flat();
    writeFileSync(
      path,
      pngFile({ width: 16, height: 16, kind: 'rgb', bits: 16, samples, icc: PROFILES['red and green swapped'].bytes }),
    );
    const [r = 0, g = 0, b = 0] = await sharp(await thumbnailOf({ path }, 8))
      .raw()
      .toBuffer();
    // As LittleCMS has it for 8 bits.
    [40, 200, 40].forEach((value, at) => expect(Math.abs(value - ([r, g, b][at] ?? NaN))).toBeLessThan(4));
    expect([...(await decodePhoto({ path }, to(1, 1)))]).toEqual([40, 200, 40]);
  });
});

describe('an animated AVIF', () => {
  it('shows its first frame', async () => {
    const [r = 0, g = 0, b = 255] = await decodePixels(readFileSync(fixture('animated.avif')), to(1, 1));
    expect(Math.min(r, g)).toBeGreaterThan(250);
    expect(b).toBeLessThan(5);
  });
});

describe('a picture that unpacks to what is no photo', () => {
  it('is refused with its size, before it is unpacked', async () => {
    const png = pngFile({ width: 1, height: 1, kind: 'grey', samples: [0] });
    png.writeUInt32BE(60_000, 16);
    png.writeUInt32BE(50_000, 20);
    png.writeUInt32BE(crc32(png.subarray(12, 29)), 29);
    await expect(decodePixels(png, to(1, 1))).rejects.toThrow(
      'cannot read the photo: it is 60,000 × 50,000 pixels, more than the 268 million that a photo may have; shrink it',
    );
  });
});

describe('photos that fail beside others', () => {
  const noisy = sharp({
    create: {
      width: 300,
      height: 200,
      channels: 3,
      background: '#777',
      noise: { type: 'gaussian', mean: 128, sigma: 40 },
    },
  });
  const reasonOf = (photo: Buffer) =>
    decodePixels(photo, to(8, 8)).then(
      () => 'read',
      (error: unknown) => {
        if (error instanceof UserError) return error.message;
        throw error;
      },
    );

  it('are refused for their own reasons, as one by one', async () => {
    const photos: Buffer[] = [];
    for (const format of ['jpeg', 'png', 'webp', 'tiff', 'gif', 'avif'] as const) {
      const whole = await noisy.clone().toFormat(format).toBuffer();
      photos.push(whole, whole.subarray(0, whole.length / 2), whole.subarray(0, 60), whole);
    }
    const alone: string[] = [];
    for (const photo of photos) alone.push(await reasonOf(photo));
    expect(alone.filter((reason) => reason === 'read')).toHaveLength(12);
    for (const reason of alone) expect(reason).not.toMatch(/Unknown error|bad seek|(.{12,}); .*\1/);
    expect(alone[1]).toBe('cannot read the photo: VipsJpeg: premature end of JPEG image');
    for (let round = 0; round < 5; round++) expect(await Promise.all(photos.map(reasonOf))).toEqual(alone);
  });
});
