import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, openSync, readdirSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { listCache, removeFromCache } from '../../src/cache/cacheFolder.js';
import { ImageFolder } from '../../src/data/imageFolder.js';
import { drawPictures } from '../../src/data/pictures.js';
import { sha256 } from '../../src/files.js';
import { readModel } from '../../src/onnx/model.js';
import { Engine } from '../../src/runtime/engine.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import type { TrainEvent } from '../../src/train/events.js';
import type { TrainOptions } from '../../src/train/trainOptions.js';
import { Trainer } from '../../src/train/trainer.js';
import { SMALL_CNN, TINY_MBCONV } from '../models.js';

const main = fileURLToPath(new URL('../../dist/bin/main.js', import.meta.url));
const odd = (name: string) => fileURLToPath(new URL(`../fixtures/odd/${name}`, import.meta.url));
const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));

let pictures: string;
beforeAll(async () => {
  pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 8, valPerClass: 4, size: 48, seed: 5 });
});

/** A hash of the parameters and moments that a run has come to. */
function weightsOf(out: string): string {
  const { tensors } = readSafetensors(join(out, 'last', 'checkpoint.safetensors'));
  const parts = [...tensors].flatMap(([name, { data }]) => [
    Buffer.from(name),
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  ]);
  return sha256(...parts);
}

interface Outcome {
  readonly weights: string;
  readonly logits: number;
  readonly cache: Extract<TrainEvent, { type: 'cache' }> | undefined;
}

interface Options extends Partial<TrainOptions> {
  readonly data?: string;
  readonly onEvent?: (event: TrainEvent) => void | Promise<void>;
}

async function train(options: Options = {}): Promise<Outcome> {
  const { data = pictures, onEvent, ...others } = options;
  const out = join(folder(), 'run');
  const trainer = new Trainer({
    model: readModel(SMALL_CNN),
    dataset: await ImageFolder.open(data),
    policy: 'F1C1',
    epochs: 2,
    out,
    ...others,
  });
  let cache: Outcome['cache'];
  const summary = await trainer.run(async (event) => {
    if (event.type === 'cache') cache = event;
    await onEvent?.(event);
  });
  expect(summary.verified.agreeing).toBe(summary.verified.photos);
  return {
    weights: weightsOf(out),
    logits: summary.metrics.loss,
    cache,
  };
}

/** Has rows of which there are few read from the disk too. */
function leaveOnDisk() {
  const start = Engine.start.bind(Engine);
  return vi
    .spyOn(Engine, 'start')
    .mockImplementation((at, { cache, ...options }, signal) =>
      start(at, { ...options, ...(cache ? { cache: { ...cache, inMemoryBytes: 0 } } : {}) }, signal),
    );
}

/** Rows of a cache, by the folders of their kind. */
const rowsIn = (cache: string) =>
  Object.fromEntries(
    readdirSync(cache, { withFileTypes: true })
      .filter((each) => each.isDirectory())
      .map(({ name: kind }) => [
        kind,
        readdirSync(join(cache, kind))
          .filter((name) => name.endsWith('.index'))
          .reduce((sum, name) => sum + statSync(join(cache, kind, name)).size / 40, 0),
      ]),
  );
const countRows = (cache: string) => Object.values(rowsIn(cache)).reduce((sum, count) => sum + count, 0);
const PHOTOS = 6 * (8 + 4);

describe('the feature cache', () => {
  it('changes no bit of a training, cold or warm, and is written once', async () => {
    const cache = folder();
    const without = await train();
    const cold = await train({ cache });
    expect(cold.cache).toMatchObject({ rows: 0, slots: PHOTOS, neededBytes: PHOTOS * 8 * 8 * 128 * 4 });
    const warm = await train({ cache });
    expect(warm.cache).toMatchObject({ rows: PHOTOS, neededBytes: 0 });
    expect(cold.weights).toBe(without.weights);
    expect(warm.weights).toBe(without.weights);
    expect(countRows(cache)).toBe(PHOTOS);
  });

  it('computes anew what was changed or added, and nothing else', async () => {
    const cache = folder();
    const data = join(folder(), 'pictures');
    cpSync(pictures, data, { recursive: true });
    await train({ cache, data });
    const [first, second] = readdirSync(join(data, 'train'));
    const some = readdirSync(join(data, 'train', first ?? ''));
    const at = (index: number) => join(data, 'train', first ?? '', some[index] ?? '');
    // Renamed, removed, replaced by another photo that is known, and, last, one that is not.
    renameSync(at(0), join(data, 'train', first ?? '', 'renamed.png'));
    rmSync(at(1));
    cpSync(join(data, 'train', second ?? '', some[2] ?? ''), at(2));
    await train({ cache, data });
    expect(countRows(cache)).toBe(PHOTOS);
    await drawPictures(join(data, 'others'), { set: 'demo', trainPerClass: 1, valPerClass: 1, size: 48, seed: 77 });
    cpSync(
      join(data, 'others', 'train', first ?? '', readdirSync(join(data, 'others', 'train', first ?? ''))[0] ?? ''),
      at(3),
    );
    await train({ cache, data });
    expect(countRows(cache)).toBe(PHOTOS + 1);
  });

  it('serves a shallower policy from what a deeper one has kept', async () => {
    const cache = folder();
    const own = await train({ policy: 'F1C0' });
    await train({ policy: 'F1C2', cache });
    const [deep] = Object.keys(rowsIn(cache));
    // Were a photo decoded again, it would be found missing.
    const moved = join(folder(), 'pictures');
    cpSync(pictures, moved, { recursive: true });
    const served = await train({ policy: 'F1C0', cache, data: moved });
    expect(served.cache?.rows).toBe(0);
    expect(served.logits).toBeCloseTo(own.logits, 5);
    expect(rowsIn(cache)).toEqual({ [deep ?? '']: PHOTOS, [served.cache?.folder.split(/[\\/]/).at(-1) ?? '']: PHOTOS });
  });

  it('also serves a policy from the pixels that full has kept, with several values in its boundary', async () => {
    const cache = folder();
    const options = { model: readModel(TINY_MBCONV), epochs: 1 };
    const own = await train({ ...options, policy: 'F1C1' });
    await train({ ...options, policy: 'full', cache });
    expect((await train({ ...options, policy: 'F1C1', cache })).weights).toBe(own.weights);
    expect(countRows(cache)).toBe(2 * PHOTOS);
  });

  it('takes pixels that full has kept for a policy that keeps them beside what is computed of them', async () => {
    const cache = folder();
    // It takes the mean and the deviation of a whole image from it, before its first convolution.
    const model = readModel(odd('h78_global_mean_norm_b1.onnx'));
    const without = await train({ model, policy: 'F1C1' });
    await train({ policy: 'full', cache });
    const served = await train({ model, policy: 'F1C1', cache });
    expect(Object.keys(rowsIn(cache))).toHaveLength(2);
    expect(served.weights).toBe(without.weights);
    const again = await train({ model, policy: 'F1C0', cache });
    expect(again.weights).toBe((await train({ model, policy: 'F1C0' })).weights);
  });

  it('keeps views, each of them', async () => {
    const cache = folder();
    const options = { augmentation: { flip: 0.5, rotate: 10 }, views: 2 };
    const without = await train(options);
    const cold = await train({ ...options, cache });
    expect(countRows(cache)).toBe(6 * (2 * 8 + 4));
    const warm = await train({ ...options, cache });
    expect([cold.weights, warm.weights]).toEqual([without.weights, without.weights]);
    await train({ ...options, cache, seed: 1 });
    expect(countRows(cache)).toBe(6 * (4 * 8 + 4));
    // Views that change with every epoch would fill a disk for nothing.
    expect((await train({ ...options, views: 0, cache: folder() })).cache).toBeUndefined();
  });

  it('keeps half the bytes as float16, in a place of their own, to the same bits cold and warm', async () => {
    const cache = folder();
    const whole = await train({ cache });
    const cold = await train({ cache, boundaryDtype: 'float16' });
    const warm = await train({ cache, boundaryDtype: 'float16' });
    expect(cold.cache?.rowBytes).toBe((whole.cache?.rowBytes ?? 0) / 2);
    expect(warm.weights).toBe(cold.weights);
    expect(cold.logits).toBeCloseTo(whole.logits, 2);
  });

  it('computes a damaged row again', async () => {
    const cache = folder();
    const cold = await train({ cache });
    const kind = join(cache, Object.keys(rowsIn(cache))[0] ?? '');
    const rows = readdirSync(kind).find((name) => name.endsWith('.rows')) ?? '';
    const file = openSync(join(kind, rows), 'r+');
    writeSync(file, Uint8Array.of(1, 2, 3, 4), 0, 4, 5 * 8 * 8 * 128 * 4 + 100);
    expect((await train({ cache })).weights).toBe(cold.weights);
    expect(countRows(cache)).toBe(PHOTOS + 1);
  });

  it.each([
    ['views', { augmentation: { flip: 0.5 }, views: 2 }],
    ['the photos as they are', { learningRate: 'auto' as const }],
  ])('computes again what is removed while it is in use, to the same bits: %s', async (_, options) => {
    const cache = folder();
    const undisturbed = await train(options);
    const onDisk = leaveOnDisk();
    let removals = 0;
    const counts: number[] = [];
    // Some rows are on the disk by then: two batches of 16 are under way while the next is read.
    const late = 'views' in options ? 40 : 60;
    const disturbed = await train({
      ...options,
      cache,
      onEvent: async (event) => {
        if (event.type === 'features-removed') counts.push(event.count);
        // As `ort-tl cache rm` does; the second time, while they are computed again.
        const isRead = event.type === 'progress' && event.phase === 'reading photos' && event.done > late;
        if (event.type !== 'photos' && !(isRead && removals === 1)) return;
        removals++;
        await removeFromCache(await listCache(cache));
      },
    });
    onDisk.mockRestore();
    const rows = PHOTOS + ('views' in options ? 6 * 8 : 0);
    expect(removals).toBe(2);
    expect(counts[0]).toBe(rows);
    expect(counts.length).toBeGreaterThan(1);
    expect([disturbed.weights, disturbed.logits]).toEqual([undisturbed.weights, undisturbed.logits]);
    // What was computed last is there for the next run, and listed.
    expect((await listCache(cache))[0]?.rows).toBeGreaterThan(0);
  });

  it('says which photos are missing where what was removed cannot be computed again', async () => {
    const [cache, data] = [folder(), join(folder(), 'pictures')];
    cpSync(pictures, data, { recursive: true });
    const onDisk = leaveOnDisk();
    const ended = train({
      cache,
      data,
      onEvent: (event) => {
        if (event.type !== 'photos') return;
        rmSync(cache, { recursive: true });
        rmSync(join(data, 'val'), { recursive: true });
      },
    });
    await expect(ended).rejects.toMatchObject({ code: 'bad-cache', message: expect.stringContaining('val') as string });
    onDisk.mockRestore();
  });

  it('is completed by the next run when one is killed while it writes', async () => {
    const cache = folder();
    const flags = ['--model', SMALL_CNN, '--data', pictures, '--epochs', '2', '--cache', cache, '--quiet'];
    const run = (out: string, killAfterMs?: number) =>
      new Promise<number | null>((resolve) => {
        const args = [main, 'train', ...flags, '--threads', '2', '--out', out];
        const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
        if (killAfterMs !== undefined) setTimeout(() => child.kill('SIGKILL'), killAfterMs);
        child.on('exit', resolve);
      });
    for (const killAfterMs of [300, 450, 600, 750, 900]) await run(join(folder(), 'run'), killAfterMs);
    const out = join(folder(), 'run');
    expect(await run(out)).toBe(0);
    const clean = await train({ threads: 2 });
    expect(weightsOf(out)).toBe(clean.weights);
  });
});
