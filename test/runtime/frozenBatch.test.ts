import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { frozenBatch } from '../../src/runtime/frozenBatch.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));
/** A machine on which a run takes so many milliseconds, and so many for each image. */
const machine = (perRun: number, perImage: number) => {
  const sizes: number[] = [];
  let time = 0;
  const run = (size: number) => {
    sizes.push(size);
    time += perRun + perImage * size;
    return Promise.resolve();
  };
  return { sizes, run, now: () => time };
};

it('takes many images at once where each run costs much, and few where it does not; it tries once', async () => {
  const place = folder();
  const slow = machine(4, 0.05);
  const options = { count: 16, folder: place, key: 'slow', threads: 8, run: slow.run, now: slow.now };
  expect(await frozenBatch(options)).toBe(16);
  const tried = slow.sizes.length;
  expect(await frozenBatch(options)).toBe(16);
  expect(slow.sizes).toHaveLength(tried);
  expect(await frozenBatch({ ...options, ...machine(0, 1), key: 'fast' })).toBe(1);
  expect(await frozenBatch({ ...options, ...machine(0.2, 1), key: 'near' })).toBe(4);
  expect(await frozenBatch(options)).toBe(16);
  // With few threads many images are not even tried, for the memory that they take.
  expect(await frozenBatch({ ...options, threads: 2, key: 'few' })).toBe(4);
  expect(slow.sizes.slice(tried).every((size) => size <= 4)).toBe(true);
});

it('tries nothing where it cannot remember, or has too few images', async () => {
  const { sizes, run } = machine(0, 0);
  await frozenBatch({ run, count: 16, folder: undefined, key: '', threads: 8 });
  await frozenBatch({ run, count: 15, folder: folder(), key: '', threads: 8 });
  expect(sizes).toEqual([]);
});
