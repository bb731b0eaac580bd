import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../src/data/dataset.js';
import { ImageFolder } from '../../src/data/imageFolder.js';
import { drawPictures } from '../../src/data/pictures.js';
import { readModel } from '../../src/onnx/model.js';
import { LogitComparison, toleranceOf } from '../../src/train/agreement.js';
import type { TrainOptions } from '../../src/train/trainOptions.js';
import { Trainer } from '../../src/train/trainer.js';
import { main } from '../cli/cli.js';
import { SMALL_CNN } from '../models.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));
const row = (...logits: number[]) => Float32Array.from(logits);

describe('logits compared', () => {
  it('differ by a share of the largest of all', () => {
    const comparison = new LogitComparison();
    comparison.add(row(1, 2, -8), row(1, 2, -8));
    comparison.add(row(3, 1, 0), row(3, 1.0625, 0));
    // 0.0625 is 1/128 of 8.
    expect(comparison.result(0.01)).toEqual({
      ...{ photos: 2, agreeing: 2, largestDifference: 0.0625, scale: 8, tolerance: 0.01, differing: 0, ok: true },
    });
    expect(comparison.result(0.007)).toMatchObject({ differing: 1, ok: false });
  });

  it('of a photo whose best two are all but equal may choose the other', () => {
    const comparison = new LogitComparison();
    comparison.add(row(1, 1 + 2 ** -20, 0), row(1 + 2 ** -20, 1, 0));
    expect(comparison.result(1e-3)).toMatchObject({ photos: 1, agreeing: 0, differing: 0, ok: true });
  });

  it('that are no numbers agree with nothing, not even with themselves', () => {
    for (const given of [row(NaN, NaN), row(NaN, 0), row(Infinity, 0), row(0, -Infinity)]) {
      const comparison = new LogitComparison();
      comparison.add(row(1, 0), given);
      expect(comparison.result(0.25)).toMatchObject({ largestDifference: null, differing: 1, ok: false });
    }
    const comparison = new LogitComparison();
    comparison.add(row(NaN, NaN), row(NaN, NaN));
    expect(comparison.result(0.25)).toMatchObject({ agreeing: 0, ok: false });
  });

  it('that come of probabilities lack what all of a photo have in common', () => {
    const shares = [0.7, 0.2, 0.1].map(Math.log);
    const comparison = new LogitComparison({ ending: 'softmax' });
    comparison.add(row(...shares.map((each) => each + 5)), row(...shares));
    expect(comparison.result(1e-6)).toMatchObject({ agreeing: 1, ok: true });
    const apart = new LogitComparison();
    apart.add(row(...shares.map((each) => each + 5)), row(...shares));
    expect(apart.result(1e-6)).toMatchObject({ ok: false });
  });

  it('have the tolerance of the numbers that a training computes in', () => {
    const float = { boundaryDtype: 'float32', frozen: 'float32', provider: 'cpu' } as const;
    const each = [
      toleranceOf(float),
      toleranceOf({ ...float, boundaryDtype: 'float16' }),
      toleranceOf({ ...float, provider: 'cuda' }),
      toleranceOf({ ...float, frozen: 'int8' }),
    ];
    expect(each).toEqual([...each].sort((a, b) => a - b));
  });
});

describe('a training', () => {
  let pictures: string;
  let dataset: Dataset;
  beforeAll(async () => {
    pictures = join(folder(), 'pictures');
    await drawPictures(pictures, { set: 'demo', trainPerClass: 4, valPerClass: 4, size: 32, seed: 5 });
    dataset = await ImageFolder.open(pictures, { seed: 0 });
  });
  const options = (more: Partial<TrainOptions>): TrainOptions => ({
    ...{ model: readModel(SMALL_CNN), dataset, out: folder(), policy: 'F1C0', threads: 1, epochs: 1, batch: 8 },
    ...more,
  });

  it.each([
    [{}],
    [{ boundaryDtype: 'float16' }],
    [{ frozen: 'int8' }],
    [{ policy: 'full' }],
    [{ augmentation: { flip: 0.5 }, views: 2 }],
    [{ averageDecay: 0.9 }],
  ] as [Partial<TrainOptions>][])('exports what it has evaluated: %j', async (more) => {
    const { verified } = await new Trainer(options(more)).run();
    expect(verified).toMatchObject({ photos: 24, differing: 0, ok: true });
  });

  it('says so where the photos are others by its end', async () => {
    const at = join(folder(), 'pictures');
    await drawPictures(at, { set: 'demo', trainPerClass: 4, valPerClass: 4, size: 32, seed: 5 });
    const photos = await ImageFolder.open(at, { seed: 0 });
    const { verified } = await new Trainer(options({ dataset: photos })).run((event) => {
      const [first, ...others] = photos.val;
      if (event.type === 'epoch') for (const { path } of others) writeFileSync(path, readFileSync(first?.path ?? ''));
    });
    expect(verified.differing).toBeGreaterThan(10);
    expect(verified).toMatchObject({ photos: 24, ok: false });
  });

  it('exits with 1 where photos changed meanwhile, and keeps the file', async () => {
    const at = folder();
    const photos = join(at, 'pictures');
    await drawPictures(photos, { set: 'demo', trainPerClass: 4, valPerClass: 4, size: 32, seed: 5 });
    const { val } = await ImageFolder.open(photos, { seed: 0 });
    const flags = ['--model', SMALL_CNN, '--data', photos, '--policy', 'F1C0', '--epochs', '60', '--threads', '1'];
    const child = spawn(process.execPath, [main, 'train', ...flags, '--no-cache', '--out', join(at, 'run')]);
    let [said, isChanged] = ['', false];
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (isChanged || !text.includes('epoch')) return;
      isChanged = true;
      for (const { path } of val.slice(1)) writeFileSync(path, readFileSync(val[0]?.path ?? ''));
    });
    const [status] = (await once(child, 'close')) as [number];
    expect(said).toMatch(/model\.onnx is not what was evaluated: on \d+ of 24 photos its logits differ by up to/);
    expect(status).toBe(1);
    const summary = JSON.parse(readFileSync(join(at, 'run', 'summary.json'), 'utf8')) as { model: string };
    expect(summary).toMatchObject({ verified: { ok: false, tolerance: 0.001 } });
    expect(readModel(summary.model).sha256).toHaveLength(64);
  });
});
