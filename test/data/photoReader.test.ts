import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Photo } from '../../src/data/photo.js';
import { PhotoReader } from '../../src/data/photoReader.js';
import type { Preprocessing } from '../../src/artifacts/manifest.js';
import { SkippedPhotos } from '../../src/data/skippedPhotos.js';
import { poolSize } from '../../src/threadPool.js';

const preprocessing: Preprocessing = { width: 1, height: 1, resize: 'squash', mean: [0, 0, 0], std: [1, 1, 1] };
const photos: Photo[] = [];
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ort-tl-reader-'));
  for (let at = 0; at < 20; at++) {
    const path = join(folder, `${at}.png`);
    // The first ones are the largest, so that they would come last if the order were not kept.
    const side = at < 4 ? 1500 : 8;
    if (at === 7 || at === 19) await writeFile(path, 'not a photo');
    else
      await sharp({ create: { width: side, height: side, channels: 3, background: { r: at, g: at, b: at } } })
        .png()
        .toFile(path);
    photos.push({ path, label: at % 3 });
  }
});
afterAll(() => rm(folder, { recursive: true }));

describe('PhotoReader', () => {
  it.each([1, 4, 100])(
    'gives the photos in their order, %d at once, without those that cannot be read',
    async (concurrency) => {
      const skipped: [string, string][] = [];
      const seen: number[] = [];
      for await (const read of PhotoReader.ofPixels().read(photos, preprocessing, { concurrency })) {
        const { index, photo } = read;
        expect(photo).toBe(photos[index]);
        if ('error' in read) {
          skipped.push([photo.path, read.error.code]);
          continue;
        }
        expect([...read.decoded]).toEqual([index, index, index]);
        seen.push(index);
      }
      expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]);
      expect(skipped).toEqual([7, 19].map((at) => [join(folder, `${at}.png`), 'unreadable-photo']));
    },
  );

  it('holds no more photos than it was told, however slowly they are taken', async () => {
    let begun = 0;
    let taken = 0;
    let most = 0;
    const reader = new PhotoReader(async () => {
      begun++;
      most = Math.max(most, begun - taken);
      await setTimeout(1);
      return new Uint8Array(3);
    });
    for await (const { index } of reader.read(photos, preprocessing, { concurrency: 5 })) {
      taken = index + 1;
      if (index < 5) await setTimeout(10);
    }
    expect([begun, most]).toEqual([20, 5]);
  });

  it('holds the files of no more photos than keep all threads busy, however many are ahead', async () => {
    let [reading, most] = [0, 0];
    const reader = new PhotoReader(async () => {
      most = Math.max(most, ++reading);
      await setTimeout(1);
      reading--;
      return new Uint8Array(3);
    });
    let count = 0;
    for await (const { index } of reader.read(photos, preprocessing, { concurrency: 20 })) expect(index).toBe(count++);
    expect([count, most]).toEqual([20, poolSize() + 2]);
  });

  it('starts no more photos, and leaves none running, once it is left', async () => {
    let begun = 0;
    let ended = 0;
    const reader = new PhotoReader(async () => {
      begun++;
      await setTimeout(2);
      ended++;
      return new Uint8Array(3);
    });
    for await (const { index } of reader.read(photos, preprocessing, { concurrency: 4 })) {
      if (index === 2) break;
    }
    expect(begun).toBeLessThanOrEqual(7);
    expect(ended).toBe(begun);
  });

  it('passes on an error that is not of the photo', async () => {
    const broken = new PhotoReader(() => Promise.reject(new TypeError('a bug')));
    const left = broken.read(photos, preprocessing, { concurrency: 3 });
    await expect(left.next()).rejects.toThrow('a bug');
  });
});

describe('SkippedPhotos', () => {
  it('allows up to the share, and then names three files, the counts and the flag', () => {
    const skipped = new SkippedPhotos();
    for (const name of ['a', 'b', 'c', 'd', 'e']) skipped.add({ path: `${name}.jpg` }, 'truncated');
    expect(skipped.list).toHaveLength(5);
    skipped.check(100);
    expect(() => skipped.check(99)).toThrow(expect.objectContaining({ code: 'too-many-unreadable' }));
    expect(() => skipped.check(99)).toThrow(
      '5 of 99 photos could not be read (a.jpg, b.jpg, c.jpg, …), more than the 5 % allowed',
    );
    expect(() => skipped.check(1000, 0)).toThrow('(maxBad)');
    skipped.check(5, 1);
  });
});
