import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { drawPhotos, measureDecoding, PHONE } from '../../bench/peers/photos.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ort-tl-photos-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const kind = { width: 64, height: 48, orientations: [1, 6] };

it('draws the same photos for the same seed, one in four to validate, held as a phone is', async () => {
  const [a, b] = [join(folder, 'a'), join(folder, 'b')];
  const sets = [a, b].map((each) => drawPhotos(each, { kind, photos: 32, pictures: 2, seed: 3 }));
  const [first = '', second = ''] = await Promise.all(sets);
  const files = (set: string) =>
    readdirSync(set, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.jpg'));
  expect(files(first)).toHaveLength(32);
  expect(files(first).filter((name) => name.startsWith('val'))).toHaveLength(8);
  for (const name of files(first))
    expect(readFileSync(join(first, name)).equals(readFileSync(join(second, name)))).toBe(true);
  const orientations = await Promise.all(
    files(first).map(async (name) => (await sharp(join(first, name)).metadata()).orientation),
  );
  expect(orientations.filter((each) => each === 6)).toHaveLength(16);
});

it('has photos of 12 megapixels', () => {
  expect(PHONE.width * PHONE.height).toBe(12_192_768);
});

it('measures decoding by sharp alone', async () => {
  const data = await drawPhotos(folder, { kind, photos: 8, pictures: 2 });
  const { photos, photosPerSecond, exactPhotosPerSecond } = await measureDecoding({ data, size: 32 });
  expect(photos).toBe(8);
  expect(Math.min(photosPerSecond, exactPhotosPerSecond)).toBeGreaterThan(0);
});
