import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadArtifacts } from '../../src/artifacts/load.js';
import type { Dataset } from '../../src/data/dataset.js';
import { ImageFolder } from '../../src/data/imageFolder.js';
import { drawPictures } from '../../src/data/pictures.js';
import { UserError } from '../../src/errors.js';
import { metadataOf, readModel } from '../../src/onnx/model.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { optimizers } from '../../src/optim/optimizer.js';
import type { Summary, TrainEvent } from '../../src/train/events.js';
import type { TrainOptions } from '../../src/train/trainOptions.js';
import { Trainer } from '../../src/train/trainer.js';
import { SMALL_CNN, TINY_RESNET } from '../models.js';

async function exhaust(events: AsyncIterable<unknown>): Promise<void> {
  const iterator = events[Symbol.asyncIterator]();
  while (!(await iterator.next()).done);
}

/** The bits of a checkpoint's tensors; its metadata tells of times too. */
const bitsOf = (path: string) => {
  const hash = createHash('sha256');
  for (const [name, { data }] of readSafetensors(path).tensors) hash.update(name).update(data);
  return hash.digest('hex');
};
const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));

describe('train, on drawn pictures', () => {
  const model = readModel(SMALL_CNN);
  let dataset: Dataset;
  beforeAll(async () => {
    const pictures = join(folder(), 'pictures');
    await drawPictures(pictures, { set: 'demo', trainPerClass: 17, valPerClass: 10, size: 48, seed: 5 });
    dataset = await ImageFolder.open(pictures, { valFraction: 0.2, seed: 0 });
  });

  async function run(options: Partial<TrainOptions>): Promise<{ summary: Summary; events: TrainEvent[]; out: string }> {
    const out = folder();
    const events: TrainEvent[] = [];
    for await (const event of new Trainer({ model, dataset, policy: 'F1C1', out, epochs: 3, threads: 2, ...options }))
      events.push(event);
    const last = events.at(-1);
    if (last?.type !== 'done') throw new Error('the training did not end with a summary');
    return { summary: last.summary, events, out };
  }

  it('learns, exports a model that agrees with its evaluation on every photo, and writes the run', async () => {
    const { summary, events, out } = await run({ epochs: 6 });
    expect(summary.top1).toBeGreaterThan(2 / 6);
    expect(summary.verified).toMatchObject({ photos: 60, agreeing: 60, ok: true });
    const losses = events.flatMap((event) => (event.type === 'epoch' ? [event.result.trainLoss] : []));
    expect(losses.at(-1)).toBeLessThan((losses[0] ?? 0) * 0.8);
    expect(readdirSync(out).sort()).toEqual([
      '.ort-tl-run.json',
      'README.md',
      'artifacts',
      'best',
      'confusion.svg',
      'curves.svg',
      'events.jsonl',
      'labels.txt',
      'last',
      'mistakes.html',
      'model.onnx',
      'predictions.csv',
      'results.csv',
      'skipped.csv',
      'summary.json',
    ]);
    expect(readFileSync(join(out, 'results.csv'), 'utf8').trim().split('\n')).toHaveLength(7);
    expect(JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8'))).toMatchObject({
      policy: 'F1C1',
      seed: 0,
      epochs: 6,
      top1: summary.top1,
    });
    const metadata = metadataOf(readModel(summary.model).proto);
    expect(JSON.parse(metadata.get('labels') ?? '')).toEqual(dataset.classes);
    expect(JSON.parse(metadata.get('preprocessing') ?? '')).toMatchObject({ width: 32, height: 32 });
  });

  it.each(['F1C0', 'F1C1', 'full'])('changes the parameters of %s and no others', async (policy) => {
    const { summary, out } = await run({ policy, epochs: 1 });
    const weights = (path: string) =>
      new Map(readModel(path).proto.graph?.initializer.map(({ name, rawData }) => [name, Buffer.from(rawData)]));
    const [before, after] = [weights(SMALL_CNN), weights(summary.model)];
    const trained = new Set(readSafetensors(join(out, 'best', 'checkpoint.safetensors')).tensors.keys());
    for (const [name, value] of after) expect(before.get(name)?.equals(value), name).toBe(!trained.has(name));
  });

  it('gives the same bits for the same seed, and others for another', async () => {
    const weights = async (seed: number) =>
      bitsOf(join((await run({ seed, optimizer: optimizers.sgd, verify: 0 })).out, 'last', 'checkpoint.safetensors'));
    const [a, b, c] = [await weights(3), await weights(3), await weights(4)];
    expect(a).toBe(b);
    expect(a).not.toBe(c);
  });

  it('evaluates, keeps and exports the averages of the parameters', async () => {
    const { summary, out } = await run({ averageDecay: 0.9, epochs: 2 });
    expect(summary.verified).toMatchObject({ photos: 60, agreeing: 60, ok: true });
    const last = readSafetensors(join(out, 'last', 'checkpoint.safetensors')).tensors;
    const best = readSafetensors(join(out, 'best', 'checkpoint.safetensors')).tensors;
    expect([...best.keys()]).toEqual(['conv4.weight', 'conv4.bias', 'fc2.weight', 'fc2.bias']);
    if (summary.bestEpoch === 2) {
      expect(best.get('fc2.weight')).toEqual(last.get('fc2.weight/average'));
      expect(best.get('fc2.weight')).not.toEqual(last.get('fc2.weight'));
    }
    const exported = readModel(summary.model).proto.graph?.initializer.find(({ name }) => name === 'fc2.weight');
    expect(Buffer.from(exported?.rawData ?? [])).toEqual(
      Buffer.from(Float32Array.from(best.get('fc2.weight')?.data as Float32Array).buffer),
    );
  });

  it('runs a batch in parts where the memory asks for it, to the same result, and says what it cannot do', async () => {
    const options = {
      policy: 'full',
      batch: 64,
      epochs: 2,
      optimizer: optimizers.sgd,
      verify: 0,
      parallel: 'operators',
    } as const;
    const whole = await run(options);
    const parts = await run({ ...options, memoryBytes: 283e6 });
    const manifestOf = ({ out }: { out: string }) => loadArtifacts(join(out, 'artifacts')).manifest;
    const { microBatch = 64, cost } = manifestOf(parts);
    expect(microBatch).toBeLessThan(64);
    expect(cost.trainingMemoryBytes).toBeLessThan(35e6);
    expect(manifestOf(whole).cost.trainingMemoryBytes).toBeGreaterThan(35e6);
    expect(parts.summary.metrics.loss).toBeCloseTo(whole.summary.metrics.loss, 4);
    await expect(run({ ...options, memoryBytes: 239e6 })).rejects.toMatchObject({ code: 'too-little-memory' });
  });

  it('waits as long as it is told for a lower loss before it takes a tenth of the learning rate', async () => {
    // Too small a rate to lower the loss.
    const options = { schedule: 'plateau', learningRate: 1e-12, warmupEpochs: 0, verify: 0 } as const;
    const ratesOf = async (more: Partial<TrainOptions>) => {
      const { events } = await run({ ...options, ...more });
      return events.flatMap((event) => (event.type === 'epoch' ? [event.result.learningRate] : []));
    };
    const near = (rates: readonly number[]) => rates.map((rate) => expect.closeTo(rate, 20) as number);
    expect(await ratesOf({})).toEqual(near([1e-12, 1e-12, 1e-12]));
    expect(await ratesOf({ plateauPatience: 0 })).toEqual(near([1e-12, 1e-12, 1e-13]));
  });

  it('comes to the same in parts of a batch', async () => {
    const options = { optimizer: optimizers.sgd, epochs: 1, classWeights: 'balanced', clipNorm: 1, verify: 0 } as const;
    const [whole, parts] = [await run(options), await run({ ...options, accumulate: 7 })];
    const result = ({ events }: { events: TrainEvent[] }) =>
      events.flatMap((event) => (event.type === 'epoch' ? [event.result] : []))[0];
    expect(result(parts)?.trainLoss).toBeCloseTo(result(whole)?.trainLoss ?? NaN, 4);
    expect(result(parts)?.trainTop1).toBe(result(whole)?.trainTop1);
  });

  it.each(Object.values(optimizers))('learns at the usual learning rate of $name', async (optimizer) => {
    const { events } = await run({ optimizer, epochs: 4, verify: 0 });
    const losses = events.flatMap((event) => (event.type === 'epoch' ? [event.result.trainLoss] : []));
    expect(losses.at(-1)).toBeLessThan((losses[0] ?? 0) * 0.9);
  });

  it('trains a head with hidden layers and dropout, to the same bits again', async () => {
    const options = { policy: 'F1C0', hidden: [32], dropout: 0.2, epochs: 4 };
    const [a, b] = [await run(options), await run(options)];
    expect(a.summary.verified).toMatchObject({ photos: 60, agreeing: 60, ok: true });
    expect(a.summary.top1).toBeGreaterThan(1 / 6);
    const bits = ({ out }: { out: string }) => bitsOf(join(out, 'last', 'checkpoint.safetensors'));
    expect(bits(a)).toBe(bits(b));
  });

  it.each(['F1C3', 'blocks:1', 'bias', 'layers:*downsample*'])(
    'trains a residual network by statistics of the batch, and exports what it evaluated (%s)',
    async (policy) => {
      const { summary, events, out } = await run({
        model: readModel(TINY_RESNET),
        policy,
        batchNorm: 'batch',
        // 102 photos leave the last batch of an epoch short.
        batch: 50,
        epochs: 5,
        learningRate: 1e-2,
      });
      const losses = events.flatMap((event) => (event.type === 'epoch' ? [event.result.trainLoss] : []));
      expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0);
      expect(summary.verified).toMatchObject({ photos: 60, agreeing: 60, ok: true });
      const { tensors } = readSafetensors(join(out, 'best', 'checkpoint.safetensors'));
      expect(tensors.has('blocks.1.downsample.1.running_mean')).toBe(true);
    },
  );

  it('learns in mixed precision what it learns in float32, goes on from where it stopped, and says that a CPU gains nothing', async () => {
    const options = { precision: 'mixed' as const, optimizer: optimizers.sgd };
    const [exact, mixed, stopped] = [
      await run({ optimizer: optimizers.sgd }),
      await run(options),
      await run({ ...options, timeLimitMs: 1 }),
    ];
    const lossOf = ({ events }: { events: TrainEvent[] }) =>
      events.flatMap((event) => (event.type === 'epoch' ? [event.result.trainLoss] : [])).at(-1);
    expect(lossOf(mixed)).toBeCloseTo(lossOf(exact) ?? NaN, 2);
    expect(lossOf(mixed)).not.toBe(lossOf(exact));
    expect(mixed.summary.warnings.join()).toContain('pays on GPUs');
    expect(mixed.summary.verified).toMatchObject({ ok: true });
    expect(stopped.summary.endedBy).toBe('time-limit');
    await exhaust(
      new Trainer({
        model,
        dataset,
        policy: 'F1C1',
        out: stopped.out,
        epochs: 3,
        threads: 2,
        ...options,
        resume: true,
      }),
    );
    const last = (out: string) => bitsOf(join(out, 'last', 'checkpoint.safetensors'));
    expect(last(stopped.out)).toBe(last(mixed.out));
  });

  it('tells its warnings in the summary', async () => {
    const { summary } = await run({ model: readModel(TINY_RESNET), policy: 'F1C1', epochs: 1 });
    expect(summary.warnings.join()).toContain('blocks:1');
    expect(JSON.parse(readFileSync(join(summary.model, '..', 'summary.json'), 'utf8'))).toMatchObject({
      warnings: summary.warnings,
    });
  });

  it('takes all photos in one step when the batch is larger than the set', async () => {
    const { summary } = await run({ batch: 1000, epochs: 1 });
    expect(summary.batch).toBe(102);
  });

  it('stops with the last good weights when the loss is no number', async () => {
    const out = folder();
    const events = new Trainer({
      model,
      dataset,
      policy: 'full',
      out,
      epochs: 3,
      learningRate: 1e30,
      warmupEpochs: 0,
      optimizer: optimizers.sgd,
    });
    await expect(exhaust(events)).rejects.toThrow(/no longer a number at epoch 1.*\(learningRate\)/);
    expect(existsSync(join(out, 'model.onnx'))).toBe(false);
  });

  it('finishes the step and keeps what was learned when it is aborted', async () => {
    const controller = new AbortController();
    const out = folder();
    let summary: Summary | undefined;
    for await (const event of new Trainer({
      model,
      dataset,
      policy: 'F1C1',
      out,
      epochs: 50,
      signal: controller.signal,
    })) {
      if (event.type === 'epoch' && event.result.epoch === 2) controller.abort();
      if (event.type === 'done') summary = event.summary;
    }
    expect(summary).toMatchObject({ stopped: true, epochs: 2 });
    expect(existsSync(join(out, 'model.onnx'))).toBe(true);
  });

  it('leaves out what cannot be read, and stops when that is too much', async () => {
    const some = (share: number): Dataset => {
      const bad = Math.round(dataset.train.length * share);
      return {
        ...dataset,
        train: dataset.train.map((photo, index) => (index < bad ? { ...photo, path: SMALL_CNN } : photo)),
      };
    };
    const { summary } = await run({ dataset: some(0.04), epochs: 1 });
    expect(summary.skipped).toHaveLength(4);
    expect(summary.trainPhotos).toBe(98);
    await expect(run({ dataset: some(0.2), epochs: 1 })).rejects.toThrow(UserError);
  });
});
