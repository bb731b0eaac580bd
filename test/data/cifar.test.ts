import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCifar } from '../../src/data/cifar.js';
import { decodePhoto } from '../../src/data/decode.js';
import { readPhoto } from '../../src/data/readPhoto.js';
import type { Preprocessing } from '../../src/artifacts/manifest.js';
import { CIFAR_10 } from '../models.js';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'ort-tl-cifar-'))));
afterEach(() => rm(folder, { recursive: true }));

/** An image whose first pixel is (r, g, b) = (1, 2, 3) and whose others are `value`. */
function record(labels: number[], value: number): Buffer {
  const planes = Buffer.alloc(3072, value);
  [1, 2, 3].forEach((first, channel) => (planes[1024 * channel] = first));
  return Buffer.concat([Buffer.from(labels), planes]);
}
const put = (name: string, ...content: (Buffer | string)[]) =>
  writeFile(join(folder, name), Buffer.concat(content.map((part) => Buffer.from(part))));
const labelled = (photos: { path: string; label: number }[]) =>
  photos.map(({ path, label }) => `${label} ${path.slice(folder.length + 1)}`);

describe('openCifar', () => {
  it('opens CIFAR-10: batches, names and pixels', async () => {
    await put('data_batch_1.bin', record([1], 10), record([0], 20));
    await put('data_batch_2.bin', record([0], 30));
    await put('test_batch.bin', record([1], 40));
    await put('batches.meta.txt', 'plane\ncar\n\n');
    const { classes, train, val } = await openCifar(folder, { seed: 0 });
    expect(classes).toEqual(['plane', 'car']);
    expect(labelled(train)).toEqual(['0 data_batch_1.bin#1', '0 data_batch_2.bin#0', '1 data_batch_1.bin#0']);
    expect(labelled(val)).toEqual(['1 test_batch.bin#0']);
    const [photo] = structuredClone(train);
    if (!photo) throw new Error('no photo');
    const content = await readPhoto(photo);
    const picture: Preprocessing = { width: 32, height: 32, resize: 'squash', mean: [0, 0, 0], std: [1, 1, 1] };
    const expected = Uint8Array.from([1, 2, 3, ...Array<number>(3069).fill(20)]);
    expect(content).toEqual({ pixels: expected, width: 32, height: 32 });
    expect(await decodePhoto(photo, picture)).toEqual(expected);
    expect(await decodePhoto(photo, { ...picture, width: 8, height: 8 })).toHaveLength(192);
  });

  it('keeps the test file for testing where another one validates', async () => {
    await put('train.bin', record([0], 0), record([1], 0));
    await put('val.bin', record([0], 0));
    await put('test.bin', record([1], 0), record([0], 0));
    const { train, val, test, contents } = await openCifar(folder, {});
    expect([train, val, test].map((photos) => photos?.length)).toEqual([2, 1, 2]);
    expect(contents).toMatchObject({ found: 5, leftOut: {} });
  });

  it.each([
    ['fine', ['apple', 'pear', 'dog'], ['0 train.bin#0', '1 train.bin#2', '2 train.bin#1']],
    ['coarse', ['fruit', 'animal'], ['0 train.bin#0', '0 train.bin#2', '1 train.bin#1']],
  ] as const)('opens CIFAR-100 by its %s labels', async (labels, classes, train) => {
    await put('train.bin', record([0, 0], 0), record([1, 2], 0), record([0, 1], 0));
    await put('test.bin', record([0, 0], 0));
    await put('fine_label_names.txt', 'apple\r\npear\r\ndog\r\n');
    await put('coarse_label_names.txt', 'fruit\nanimal\n');
    const found = await openCifar(folder, { seed: 0, labels });
    expect(found.classes).toEqual(classes);
    expect(labelled(found.train)).toEqual(train);
    expect(labelled(found.val)).toEqual(['0 test.bin#0']);
  });

  it('numbers the classes where nothing names them, and splits a file that stands alone', async () => {
    await put('photos.bin', ...[0, 1, 0, 1, 1].map((label) => record([label], label)));
    const { classes, train, val } = await openCifar(join(folder, 'photos.bin'), { seed: 0 });
    expect([classes, train.length, val.length]).toEqual([['0', '1'], 3, 2]);
  });

  it('keeps labels and pixels together over many chunks of a file', async () => {
    const records = Array.from({ length: 700 }, (_, at) => record([at % 3], at % 256));
    await put('train.bin', ...records);
    const { train, val } = await openCifar(join(folder, 'train.bin'), { seed: 0 });
    for (const photo of [...train, ...val]) {
      const at = Number(photo.path.split('#')[1]);
      expect(photo.label).toBe(at % 3);
      if (at % 50 === 0)
        expect(await readPhoto(photo)).toMatchObject({ pixels: expect.objectContaining({ 5: at % 256 }) as object });
    }
  });

  it.each([
    ['bad-cifar', 'a file that is cut off', [record([0], 0), record([1], 0).subarray(0, 3000)], '6073 bytes'],
    ['bad-cifar', 'an empty file', [], '0 bytes'],
    [
      'bad-cifar',
      'a label that has no name',
      [record([0], 0), record([9], 0)],
      'label 9, but classes.txt names 2 classes',
    ],
    ['class-without-photos', 'a class without photos', [record([0], 0), record([0], 0)], '"b"'],
    ['too-few-photos', 'a class with one photo', [record([0], 0), record([1], 0)], 'has one photo'],
  ])('says %s of %s', async (code, _, content, words) => {
    await put('train.bin', ...content);
    await put('classes.txt', 'a\nb\n');
    await expect(openCifar(folder, { seed: 0 })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(words) as string,
    });
  });

  it('says that there is no such file, and names the format where only one is likely', async () => {
    await expect(openCifar(join(folder, 'x.bin'), { seed: 0 })).rejects.toMatchObject({ code: 'no-such-file' });
    await put('train.bin', record([0], 0));
    await put('fine_label_names.txt', 'a\nb\n');
    await expect(openCifar(folder, { seed: 0 })).rejects.toThrow('images of 3074 bytes');
  });

  it('leaves out an image whose file has shrunk since', async () => {
    await put('train.bin', ...[0, 1, 0, 1].map((label) => record([label], label)));
    const { train, val } = await openCifar(folder, { seed: 0 });
    await put('train.bin', record([0], 0));
    const last = [...train, ...val].find(({ path }) => path.endsWith('#3'));
    if (last) await expect(readPhoto(last)).rejects.toMatchObject({ code: 'unreadable-photo' });
  });

  it.skipIf(!existsSync(CIFAR_10))('opens real files (skipped where they do not lie beside the checkout)', async () => {
    const { classes, train, val } = await openCifar(CIFAR_10, { seed: 0 });
    expect([classes.length, classes[0], train.length, val.length]).toEqual([10, 'airplane', 5085, 1017]);
  });
});
