import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../src/data/dataset.js';
import { ImageFolder } from '../../src/data/imageFolder.js';
import { drawPictures } from '../../src/data/pictures.js';
import { readModel } from '../../src/onnx/model.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { Random } from '../../src/random.js';
import type { Summary } from '../../src/train/events.js';
import type { TrainOptions } from '../../src/train/options.js';
import { Trainer } from '../../src/train/trainer.js';
import { SMALL_CNN, TINY_RESNET } from '../models.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));
const weights = (out: string, which: 'best' | 'last') =>
  new Map(
    [...readSafetensors(join(out, which, 'checkpoint.safetensors')).tensors].map(([name, { data }]) => [
      name,
      Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'),
    ]),
  );

let pictures: string;
let dataset: Dataset;
beforeAll(async () => {
  pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 30, valPerClass: 10, size: 48, seed: 5 });
  dataset = await ImageFolder.open(pictures, { seed: 0 });
});

describe('a run that was killed', () => {
  it('ends, resumed, with the weights of one that was not, however often and whenever it was killed', async () => {
    const flags = ['--model', SMALL_CNN, '--data', pictures, '--policy', 'F1C1', '--epochs', '6', '--threads', '2'];
    const augmented = ['--flip', '0.5', '--rotate', '10', '--schedule', 'plateau', '--ema', '0.9', '--quiet'];
    const run = (args: string[], killAfterMs?: number) =>
      new Promise<number | null>((resolve) => {
        const child = spawn(process.execPath, [main, 'train', ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
        const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
        child.on('exit', (code) => {
          clearTimeout(timer);
          resolve(code);
        });
      });
    const [whole, broken] = [join(folder(), 'whole'), join(folder(), 'broken')];
    const began = performance.now();
    expect(await run([...flags, ...augmented, '--out', whole])).toBe(0);
    // A busy machine is slow: the moments are parts of what the unbroken run took.
    const wholeMs = performance.now() - began;

    const random = new Random(11);
    let kills = 0;
    for (let attempt = 0; attempt < 60 && kills < 10; attempt++) {
      const isBegun = existsSync(join(broken, 'last', 'checkpoint.safetensors'));
      const args = isBegun ? ['--resume', broken, '--quiet'] : [...flags, ...augmented, '--out', broken];
      if ((await run(args, (0.15 + 0.6 * random.next()) * wholeMs)) === null) kills++;
      // Whatever was being written, what stands there is whole.
      for (const name of ['best', 'last']) {
        const path = join(broken, name, 'checkpoint.safetensors');
        if (existsSync(path)) readSafetensors(path);
      }
      if (existsSync(join(broken, 'model.onnx'))) readModel(join(broken, 'model.onnx'));
    }
    expect(kills).toBeGreaterThanOrEqual(3);
    expect(await run(['--resume', broken, '--quiet'])).toBe(0);
    expect(weights(broken, 'last')).toEqual(weights(whole, 'last'));
    expect(weights(broken, 'best')).toEqual(weights(whole, 'best'));
    const columns = (out: string) =>
      readFileSync(join(out, 'results.csv'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => line.split(',').slice(0, 9).join());
    expect(columns(broken)).toEqual(columns(whole));
    const events = readFileSync(join(broken, 'events.jsonl'), 'utf8').trim().split('\n');
    for (const line of events) JSON.parse(line);
    expect(readdirSync(broken).sort()).toEqual(readdirSync(whole).sort());
  }, 300_000);
});

describe('a run that was interrupted', () => {
  const train = async (options: Partial<TrainOptions>, stopAt?: { epoch: number; step: number }) => {
    const controller = new AbortController();
    const all = {
      model: readModel(SMALL_CNN),
      dataset,
      policy: 'F1C1',
      epochs: 3,
      batch: 4,
      threads: 2,
      out: folder(),
    };
    const trainer = new Trainer({ ...all, ...options, signal: controller.signal });
    let summary: Summary | undefined;
    for await (const event of trainer) {
      const isThere =
        event.type === 'progress' &&
        event.phase === 'training' &&
        event.epoch === stopAt?.epoch &&
        event.done >= stopAt.step;
      if (isThere) controller.abort();
      if (event.type === 'done') summary = event.summary;
    }
    return summary;
  };

  const everything = {
    model: readModel(TINY_RESNET),
    policy: 'blocks:1',
    hidden: [16],
    dropout: 0.3,
    batchNorm: 'batch',
  } as const;
  it.each([
    ['F1C1', {}],
    ['a head with hidden layers and dropout, and statistics of the batch', everything],
  ])('goes on in the middle of an epoch, to the same bits and the same figures: %s', async (_, options) => {
    const [whole, broken] = [folder(), folder()];
    const expected = await train({ ...options, out: whole });
    expect(await train({ ...options, out: broken }, { epoch: 2, step: 60 })).toMatchObject({
      stopped: true,
      endedBy: 'interrupt',
      epochs: 1,
    });
    const resumed = await train({ ...options, out: broken, resume: true });
    expect(resumed).toMatchObject({ stopped: false, endedBy: 'epochs', epochs: 3, top1: expected?.top1 });
    expect(weights(broken, 'last')).toEqual(weights(whole, 'last'));
    const figures = (out: string) =>
      readFileSync(join(out, 'results.csv'), 'utf8')
        .split('\n')
        .map((line) => line.split(',').slice(0, 9).join());
    expect(figures(broken)).toEqual(figures(whole));
  });

  it('mixes photos the same way again', async () => {
    const [whole, broken] = [folder(), folder()];
    const mixed: Partial<TrainOptions> = { augmentation: { mixup: 0.4, cutmix: 1, flip: 0.5 }, epochs: 3, batch: 8 };
    const expected = await train({ ...mixed, out: whole });
    expect(expected?.top1).toBeGreaterThan(2 / 6);
    expect(await train({ ...mixed, out: broken }, { epoch: 2, step: 100 })).toMatchObject({ stopped: true });
    await train({ ...mixed, out: broken, resume: true });
    expect(weights(broken, 'last')).toEqual(weights(whole, 'last'));
    // Mixed targets keep the loss above what the photos themselves would give.
    const plain = folder();
    await train({ out: plain, epochs: 3, batch: 8 });
    const lossOf = (out: string) =>
      Number(readFileSync(join(out, 'results.csv'), 'utf8').trim().split('\n').at(-1)?.split(',')[2]);
    expect(lossOf(whole)).toBeGreaterThan(lossOf(plain) + 0.1);
  });

  it('is not resumed with other settings, photos or model, or where there is none', async () => {
    const out = folder();
    await train({ out, epochs: 1 });
    await expect(train({ out, epochs: 2, resume: true })).rejects.toThrow(/its epochs was 1, and is now 2/);
    const fewer = { ...dataset, train: dataset.train.slice(1) };
    await expect(train({ out, epochs: 1, dataset: fewer, resume: true })).rejects.toThrow(
      /its photos or their split are others/,
    );
    const model = readModel(TINY_RESNET);
    await expect(train({ out, epochs: 1, model, resume: true })).rejects.toThrow(/its model is another/);
    await expect(train({ out: folder(), resume: true })).rejects.toThrow(/no whole checkpoint in last\//);
  });
});

describe('a training that ends early', () => {
  const quick = (options: Partial<TrainOptions>) =>
    new Trainer({ model: readModel(SMALL_CNN), dataset, policy: 'F1C0', threads: 2, out: folder(), ...options }).run();

  it('stops when the metric has not improved for as many epochs as it may', async () => {
    // Of so small a learning rate nothing comes.
    const summary = await quick({ epochs: 20, learningRate: 1e-12, patience: 2 });
    expect(summary).toMatchObject({ endedBy: 'patience', bestEpoch: 1, epochs: 3, stopped: false });
  });

  it('stops when its time is up, with what it has learned', async () => {
    const summary = await quick({ epochs: 100_000, timeLimitMs: 1500, policy: 'F1C1' });
    expect(summary.endedBy).toBe('time-limit');
    expect(summary.epochs).toBeGreaterThan(0);
    expect(summary.elapsedMs).toBeLessThan(60_000);
  });

  it('finds a learning rate by itself, and learns with it', async () => {
    const out = folder();
    const summary = await quick({ epochs: 5, learningRate: 'auto', out });
    expect(summary.learningRate).toBeGreaterThan(1e-5);
    expect(summary.learningRate).toBeLessThan(0.5);
    expect(summary.top1).toBeGreaterThan(2 / 6);
    expect(readFileSync(join(out, 'learning-rate.svg'), 'utf8')).toContain('learning rate');
  });

  it('weighs classes, draws them evenly, and takes views in turn', async () => {
    const few = { ...dataset, train: dataset.train.filter(({ label }, index) => label > 0 || index % 6 === 0) };
    const equal = await quick({ dataset: few, epochs: 8 });
    const balanced = await quick({ dataset: few, epochs: 8, classWeights: 'balanced' });
    const drawn = await quick({ dataset: few, epochs: 8, sampling: 'balanced', augmentation: { flip: 0.5 }, views: 2 });
    const recall = (summary: Summary) => summary.perClass[0]?.recall ?? 0;
    expect(recall(balanced)).toBeGreaterThanOrEqual(recall(equal));
    expect(recall(drawn)).toBeGreaterThanOrEqual(recall(equal));
  });
});
