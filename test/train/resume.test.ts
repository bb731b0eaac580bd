import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../src/data/dataset.js';
import { ImageFolder } from '../../src/data/imageFolder.js';
import { drawPictures } from '../../src/data/pictures.js';
import { readModel } from '../../src/onnx/model.js';
import { sha256 } from '../../src/files.js';
import { readSafetensors, writeSafetensors } from '../../src/onnx/safetensors.js';
import { elementCount, tensor } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';
import { hasCheckpoint } from '../../src/train/checkpoint.js';
import type { Summary, TrainEvent } from '../../src/train/events.js';
import type { TrainOptions } from '../../src/train/trainOptions.js';
import { Trainer } from '../../src/train/trainer.js';
import { SMALL_CNN, TINY_RESNET } from '../models.js';

const main = fileURLToPath(new URL('../../dist/bin/main.js', import.meta.url));
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

/** Eight photos of each class to train with, two to validate: six steps an epoch. */
const fewOf = ({ train, val, ...rest }: Dataset): Dataset => {
  const firstOf = (photos: Dataset['train'], count: number) =>
    rest.classes.flatMap((_, label) => photos.filter((photo) => photo.label === label).slice(0, count));
  return { ...rest, train: firstOf(train, 8), val: firstOf(val, 2) };
};
const few = () => ({
  ...{ model: readModel(SMALL_CNN), dataset: fewOf(dataset), policy: 'F1C0', epochs: 3, batch: 8, threads: 2 },
});

interface Driven {
  readonly events: TrainEvent[];
  readonly summary: Summary | undefined;
  readonly wallMs: number;
}

/** Trains until an event at which it is to be stopped. */
async function drive(options: TrainOptions, isThere: (event: TrainEvent) => boolean = () => false): Promise<Driven> {
  const controller = new AbortController();
  const began = performance.now();
  const events: TrainEvent[] = [];
  for await (const event of new Trainer({ ...options, signal: controller.signal })) {
    events.push(event);
    if (isThere(event)) controller.abort();
  }
  const [summary] = events.flatMap((event) => (event.type === 'done' ? [event.summary] : []));
  return { events, summary, wallMs: performance.now() - began };
}

/** A run of {@link few} that nobody stopped: it is only looked at. */
let unbroken: Promise<string> | undefined;
const wholeRun = (): Promise<string> =>
  (unbroken ??= (async () => {
    const out = folder();
    await drive({ ...few(), out });
    return out;
  })());

/** A run of {@link few} that was stopped when its first epoch had just ended: each time a copy of the same. */
let stopped: Promise<string> | undefined;
async function stoppedRun(): Promise<string> {
  stopped ??= (async () => {
    const out = folder();
    await drive({ ...few(), out }, ({ type }) => type === 'epoch');
    return out;
  })();
  const out = folder();
  cpSync(await stopped, out, { recursive: true, preserveTimestamps: true });
  return out;
}

const reachTraining = (event: TrainEvent) => event.type === 'progress' && event.phase === 'training';

/** The figures of `results.csv` that are no times. */
const figuresOf = (out: string) =>
  readFileSync(join(out, 'results.csv'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(',').slice(0, 9).join());

function expectSame(out: string, expected: string): void {
  expect(weights(out, 'last')).toEqual(weights(expected, 'last'));
  expect(weights(out, 'best')).toEqual(weights(expected, 'best'));
  expect(figuresOf(out)).toEqual(figuresOf(expected));
  expect(readFileSync(join(out, 'model.onnx')).equals(readFileSync(join(expected, 'model.onnx')))).toBe(true);
}

/** Of a summary what tells of the model. */
const shownOf = (summary: Summary | undefined) => {
  if (!summary) throw new Error('expected a summary');
  const { epochs, endedBy, top1, bestEpoch, metrics, perClass, learningRate } = summary;
  return { epochs, endedBy, top1, bestEpoch, metrics, perClass, learningRate };
};

/** Every file below, with its bytes and when it was last changed. */
const contentOf = (out: string) =>
  readdirSync(out, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => [path, statSync(path).mtimeMs, sha256(readFileSync(path))]);

describe('a run that was killed', () => {
  it('ends, resumed, with the weights of one that was not, however often and whenever it was killed', async () => {
    const small = join(folder(), 'pictures');
    await drawPictures(small, { set: 'demo', trainPerClass: 10, valPerClass: 3, size: 48, seed: 5 });
    const flags = ['--model', SMALL_CNN, '--data', small, '--policy', 'F1C1', '--epochs', '4', '--threads', '2'];
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
    for (let attempt = 0; attempt < 30 && kills < 4; attempt++) {
      const isBegun = existsSync(join(broken, 'last', 'checkpoint.safetensors'));
      const args = isBegun ? ['--resume', broken, '--quiet'] : [...flags, ...augmented, '--out', broken];
      if ((await run(args, (0.15 + 0.3 * random.next()) * wholeMs)) === null) kills++;
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
      dataset: fewOf(dataset),
      policy: 'F1C1',
      epochs: 3,
      batch: 2,
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
    expect(await train({ ...options, out: broken }, { epoch: 2, step: 30 })).toMatchObject({
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
    const mixed: Partial<TrainOptions> = { augmentation: { mixup: 0.4, cutmix: 1, flip: 0.5 }, dataset, batch: 8 };
    const expected = await train({ ...mixed, out: whole });
    expect(expected?.top1).toBeGreaterThan(2 / 6);
    expect(await train({ ...mixed, out: broken }, { epoch: 2, step: 100 })).toMatchObject({ stopped: true });
    await train({ ...mixed, out: broken, resume: true });
    expect(weights(broken, 'last')).toEqual(weights(whole, 'last'));
    // Mixed targets keep the loss above what the photos themselves would give.
    const plain = folder();
    await train({ out: plain, dataset, batch: 8 });
    const lossOf = (out: string) =>
      Number(readFileSync(join(out, 'results.csv'), 'utf8').trim().split('\n').at(-1)?.split(',')[2]);
    expect(lossOf(whole)).toBeGreaterThan(lossOf(plain) + 0.1);
  });

  it('is not resumed with other settings, photos or model, or where there is none', async () => {
    const out = folder();
    await train({ out, epochs: 1 });
    await expect(train({ out, epochs: 2, resume: true })).rejects.toThrow(/its epochs was 1, and is now 2/);
    const all = fewOf(dataset);
    const fewer = { ...all, train: all.train.slice(1) };
    await expect(train({ out, epochs: 1, dataset: fewer, resume: true })).rejects.toThrow(
      /its photos or their split are others/,
    );
    const model = readModel(TINY_RESNET);
    await expect(train({ out, epochs: 1, model, resume: true })).rejects.toThrow(/its model is another/);
    await expect(train({ out: folder(), resume: true })).rejects.toThrow(/no whole checkpoint in last\//);
  });

  const reach =
    (phase: string, epoch: number, least = 1) =>
    (event: TrainEvent) =>
      event.type === 'progress' && event.phase === phase && event.epoch === epoch && event.done >= least;
  const augmented = { augmentation: { flip: 0.5 }, views: 0 } as const;
  it.each<[string, Partial<TrainOptions>, (event: TrainEvent) => boolean]>([
    ['before an epoch was evaluated', {}, reach('training', 2, 48)],
    ['while views of a later epoch were read', augmented, reach('reading photos', 2)],
    ['when an epoch had just ended', {}, ({ type }) => type === 'epoch'],
  ])('goes on to the same bits when it was stopped %s', async (_, options, isThere) => {
    const all = { ...few(), ...options };
    const broken = folder();
    let whole = await wholeRun();
    if (options === augmented) await drive({ ...all, out: (whole = folder()) });
    const stopped = await drive({ ...all, out: broken }, isThere);
    expect(stopped.summary).toMatchObject({ stopped: true, endedBy: 'interrupt', epochs: 1, perClass: [] });
    // Its figures are those of the epoch that the model has the weights of.
    const [first] = stopped.events.flatMap((event) => (event.type === 'epoch' ? [event.result] : []));
    expect(stopped.summary).toMatchObject({ top1: first?.top1, bestEpoch: 1, metrics: { loss: first?.valLoss } });
    expect(stopped.summary?.leftOut).toEqual(['evaluation', 'report', 'verification']);
    expect(existsSync(join(broken, 'model.onnx'))).toBe(true);
    const resumed = await drive({ ...all, out: broken, resume: true });
    expect(resumed.summary).toMatchObject({ stopped: false, leftOut: [], moves: [], endedBy: 'epochs', epochs: 3 });
    expectSame(broken, whole);
  });

  it.each([
    // More photos than are evaluated in one go.
    ['evaluated', 'evaluating', 512, 50, ['evaluation', 'report', 'verification']],
    ['verified', 'verifying', 16, 2, ['verification']],
  ])('makes up for the end of a run that was stopped while it %s the model', async (_, phase, done, times, leftOut) => {
    const { val, ...rest } = few().dataset;
    const all = {
      ...few(),
      epochs: 1,
      verify: 24,
      dataset: { ...rest, val: Array(times).fill(val).flat() as typeof val },
    };
    const [whole, broken] = [folder(), folder()];
    await drive({ ...all, out: whole });
    // The last epoch's evaluation comes before that of the end.
    let isOver = false;
    const stopped = await drive({ ...all, out: broken }, (event) => {
      if (event.type === 'epoch') isOver = true;
      return isOver && event.type === 'progress' && event.phase === phase && event.done >= done;
    });
    expect(stopped.summary).toMatchObject({ stopped: true, endedBy: 'epochs', epochs: 1, leftOut });
    const resumed = await drive({ ...all, out: broken, resume: true });
    expect(resumed.summary).toMatchObject({ stopped: false, leftOut: [], verified: { photos: 24 } });
    expect(resumed.events.filter(({ type }) => type === 'resumed' || type === 'epoch')).toEqual([]);
    expectSame(broken, whole);
  });

  it.each(['reading photos', 'looking for a learning rate'])(
    'keeps nothing of it when it was stopped while %s, and begins again to the same learning rate',
    async (phase) => {
      const all = { ...few(), learningRate: 'auto' } as const;
      const [whole, broken] = [folder(), folder()];
      const expected = await drive({ ...all, out: whole });
      await expect(drive({ ...all, out: broken }, reach(phase, 1))).rejects.toMatchObject({ code: 'stopped' });
      expect(hasCheckpoint(broken)).toBe(false);
      expect(readFileSync(join(broken, 'events.jsonl'), 'utf8')).not.toContain('"learning-rate"');
      const again = await drive({ ...all, out: broken, overwrite: true });
      expect(again.summary?.learningRate).toBe(expected.summary?.learningRate);
      expectSame(broken, whole);
    },
  );

  it('leaves everything as it is when it was stopped before it began', async () => {
    const out = folder();
    cpSync(await wholeRun(), out, { recursive: true });
    const before = contentOf(out);
    const signal = AbortSignal.abort();
    await expect(new Trainer({ ...few(), out, overwrite: true, signal }).run()).rejects.toMatchObject({
      code: 'stopped',
    });
    expect(contentOf(out)).toEqual(before);
  });
});

describe('a run whose time was up', () => {
  /** Three steps an epoch. */
  const short = () => ({ ...few(), batch: 16, epochs: 2 });
  // Every call takes one step, or evaluates: it is stopped at every place in turn.
  const atEveryStep = async (options: TrainOptions) => {
    const calls: Driven[] = [];
    while (calls.at(-1)?.summary?.endedBy !== 'epochs' && calls.length < 40)
      calls.push(await drive({ ...options, timeLimitMs: 1e-3, verify: 0, resume: calls.length > 0 }));
    return calls;
  };

  it('has a model of the part of its first epoch that it has learned, and is still in it', async () => {
    const out = folder();
    const { summary } = await drive({ ...short(), timeLimitMs: 1e-3, out });
    expect(summary).toMatchObject({ endedBy: 'time-limit', epochs: 0, stopped: false });
    expect(summary?.part).toEqual({ epoch: 1, steps: 1, of: 3 });
    expect(summary?.verified).toMatchObject({ photos: 12, agreeing: 12 });
    expect(readFileSync(join(out, 'results.csv'), 'utf8').trim().split('\n')).toHaveLength(1);
    const { metadata } = readSafetensors(join(out, 'best', 'checkpoint.safetensors'));
    expect(metadata).toMatchObject({ epoch: '1', steps: '1' });
    readModel(join(out, 'model.onnx'));
  });

  it.each<[string, Partial<TrainOptions>]>([
    ['plainly', { tensorboard: true }],
    [
      'with new views in every epoch, mixed, on a plateau schedule, averaged',
      { augmentation: { flip: 0.5, mixup: 0.4 }, schedule: 'plateau', averageDecay: 0.9 },
    ],
    [
      'with statistics of the batch, classes drawn evenly',
      { model: readModel(TINY_RESNET), policy: 'blocks:1', batchNorm: 'batch', sampling: 'balanced' },
    ],
    ['in parts of a batch, with patience', { accumulate: 2, patience: 2 }],
  ])('ends in the same bits after a stop at every step: %s', async (_, options) => {
    const all = { ...short(), ...options };
    const [whole, broken] = [folder(), folder()];
    const unbroken = await drive({ ...all, verify: 0, out: whole });
    const calls = await atEveryStep({ ...all, out: broken });
    expect(calls.map(({ summary }) => summary?.epochs)).toEqual([0, 0, 1, 1, 1, 2]);
    expectSame(broken, whole);
    expect(calls.at(-1)?.summary).toMatchObject({ ...shownOf(unbroken.summary), moves: [] });

    // Each epoch once, in order, whose time is no more than was taken.
    const epochs = (out: string) =>
      readFileSync(join(out, 'events.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as TrainEvent)
        .flatMap((event) => (event.type === 'epoch' ? [event.result] : []));
    expect(epochs(broken).map(({ epoch }) => epoch)).toEqual([1, 2]);
    const sum = (numbers: readonly number[]) => numbers.reduce((all, each) => all + each, 0);
    const wallMs = sum(calls.map(({ wallMs }) => wallMs));
    const elapsedMs = calls.at(-1)?.summary?.elapsedMs ?? NaN;
    const ofEpochs = sum(epochs(broken).map((each) => each.elapsedMs));
    expect(ofEpochs).toBeLessThan(elapsedMs);
    expect(elapsedMs).toBeLessThan(wallMs);
    const written = (out: string) => readdirSync(out).filter((name) => name.includes('tfevents'));
    expect(written(broken)).toHaveLength(written(whole).length);
  });

  it('stops while it reads the views of a later epoch, and goes on to the same bits', async () => {
    const all = { ...few(), augmentation: { flip: 0.5 }, epochs: 2 };
    const [whole, broken] = [folder(), folder()];
    await drive({ ...all, out: whole });
    let timeLimitMs = 1e9;
    const options: TrainOptions = {
      ...{ ...all, out: broken },
      // Looked at again and again.
      get timeLimitMs() {
        return timeLimitMs;
      },
    };
    let summary: Summary | undefined;
    for await (const event of new Trainer(options)) {
      if (event.type === 'progress' && event.phase === 'reading photos' && event.epoch === 2) timeLimitMs = 0;
      if (event.type === 'done') summary = event.summary;
    }
    expect(summary).toMatchObject({ endedBy: 'time-limit', epochs: 1, stopped: false, leftOut: [] });
    await drive({ ...all, out: broken, resume: true });
    expectSame(broken, whole);
  });
});

describe('a run that goes on', () => {
  it('elsewhere says what is another there, in its log and its summary too', async () => {
    const out = await stoppedRun();
    const { events, summary } = await drive({ ...few(), out, threads: 1, resume: true });
    const changes = [{ name: 'threads', before: 2, now: 1 }];
    expect(events).toContainEqual({ type: 'resumed', epoch: 2, step: 0, changes });
    expect(summary).toMatchObject({ epochs: 3, threads: 1, moves: [{ epoch: 2, step: 0, changes }] });
    expect(readFileSync(join(out, 'events.jsonl'), 'utf8')).toContain(JSON.stringify(changes));
  });

  it('elsewhere in its middle keeps that in mind when it goes on again', async () => {
    const out = await stoppedRun();
    await drive({ ...few(), out, threads: 1, resume: true }, ({ type }) => type === 'epoch');
    const { events, summary } = await drive({ ...few(), out, threads: 1, resume: true });
    expect(events).toContainEqual({ type: 'resumed', epoch: 3, step: 0, changes: [] });
    expect(summary?.moves).toHaveLength(1);
  });

  it('after another version has written its checkpoint, which told less, knows of the threads', async () => {
    const out = await stoppedRun();
    const path = join(out, 'last', 'checkpoint.safetensors');
    const { tensors, metadata } = readSafetensors(path);
    const progress = JSON.parse(metadata['progress'] ?? '') as Record<string, unknown>;
    for (const name of ['place', 'moves', 'elapsedMs', 'read']) Reflect.deleteProperty(progress, name);
    await writeSafetensors(path, tensors, { progress: JSON.stringify(progress) });
    const { summary } = await drive({ ...few(), out, threads: 1, resume: true });
    expect(summary?.moves).toEqual([{ epoch: 2, step: 0, changes: [{ name: 'threads', before: 2, now: 1 }] }]);
  });

  it('after an earlier version, which did not have a setting, goes on where that is as it is by default', async () => {
    const out = await stoppedRun();
    const path = join(out, 'last', 'checkpoint.safetensors');
    const { tensors, metadata } = readSafetensors(path);
    const progress = JSON.parse(metadata['progress'] ?? '') as { settings: Record<string, unknown> };
    delete progress.settings['plateauPatience'];
    await writeSafetensors(path, tensors, { progress: JSON.stringify(progress) });
    await expect(drive({ ...few(), out, plateauPatience: 5, resume: true })).rejects.toMatchObject({
      code: 'cannot-resume',
      message: expect.stringContaining('its plateauPatience was 3, and is now 5') as string,
    });
    const { summary } = await drive({ ...few(), out, resume: true });
    expect(summary?.endedBy).toBe('epochs');
  });

  it('in less memory takes smaller runs of the same steps', async () => {
    const out = folder();
    const all = { ...few(), policy: 'full' };
    await drive({ ...all, out }, ({ type }) => type === 'epoch');
    const { summary } = await drive({ ...all, out, memoryBytes: 263e6, resume: true });
    expect(summary?.moves[0]?.changes.map(({ name }) => name)).toContain('microBatch');
  });

  it('does nothing, and harms nothing, where it has ended by itself', async () => {
    for (const [options, endedBy] of [
      [{}, 'epochs'],
      [{ epochs: 20, learningRate: 1e-12, patience: 1 }, 'patience'],
    ] as const) {
      const out = folder();
      const ended = await drive({ ...few(), ...options, out });
      expect(ended.summary?.endedBy).toBe(endedBy);
      const before = contentOf(out);
      const again = await drive({ ...few(), ...options, out, resume: true });
      expect(again.events.map(({ type }) => type)).toEqual(['finished', 'done']);
      expect(again.summary).toEqual(JSON.parse(JSON.stringify(ended.summary)));
      expect(contentOf(out)).toEqual(before);
    }
  });

  it('exports again what was lost of its end', async () => {
    const out = folder();
    cpSync(await wholeRun(), out, { recursive: true });
    const model = readFileSync(join(out, 'model.onnx'));
    const table = readFileSync(join(out, 'results.csv'), 'utf8');
    // As if it was killed before they were written.
    for (const name of ['model.onnx', 'summary.json', 'results.csv']) rmSync(join(out, name));
    await drive({ ...few(), out, resume: true });
    expect(readFileSync(join(out, 'model.onnx')).equals(model)).toBe(true);
    expect(readFileSync(join(out, 'results.csv'), 'utf8')).toBe(table);
  });

  it('has the best weights of where it stands, also when it was killed while it wrote those of a later epoch', async () => {
    const out = await stoppedRun();
    const best = join(out, 'best', 'checkpoint.safetensors');
    const [first, { tensors, metadata }] = [readFileSync(best), readSafetensors(best)];
    const next = join(out, 'best', 'next.safetensors');
    const other = new Map(
      [...tensors].map(([name, { dims }]) => [name, tensor('float32', dims, new Float32Array(elementCount(dims)))]),
    );
    await writeSafetensors(next, other, { ...metadata, epoch: '2' });
    // Stopped again before the second epoch has ended.
    await drive({ ...few(), out, resume: true }, reachTraining);
    expect(readFileSync(best).equals(first)).toBe(true);
    expect(existsSync(next)).toBe(false);
  });

  it('takes the best weights that were written when it was killed before they took their place', async () => {
    const [whole, out] = [await wholeRun(), await stoppedRun()];
    const best = join(out, 'best', 'checkpoint.safetensors');
    renameSync(best, join(out, 'best', 'next.safetensors'));
    await drive({ ...few(), out, resume: true });
    expectSame(out, whole);
  });

  it('logs each epoch once, in order, whatever of the log was written before it was killed', async () => {
    const out = await stoppedRun();
    const path = join(out, 'events.jsonl');
    const lines = readFileSync(path, 'utf8').trim().split('\n');
    const epoch = lines.find((line) => line.includes('"type":"epoch"')) ?? '';
    // An epoch that was logged and not saved, and a line that was cut off.
    writeFileSync(path, [...lines, epoch.replace('"epoch":1', '"epoch":2'), epoch.slice(0, 40)].join('\n'));
    await drive({ ...few(), out, resume: true });
    const logged = readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as TrainEvent)
      .flatMap((event) => (event.type === 'epoch' ? [event.result.epoch] : []));
    expect(logged).toEqual([1, 2, 3]);
  });

  it('says so where other photos can be read than before', async () => {
    const at = join(folder(), 'pictures');
    cpSync(pictures, at, { recursive: true });
    const own = fewOf(await ImageFolder.open(at, { seed: 0 }));
    const all = { ...few(), dataset: own, maxBad: 0.5, out: folder() };
    await drive(all, ({ type }) => type === 'epoch');
    writeFileSync(own.train[3]?.path ?? '', 'no photo any more');
    await expect(drive({ ...all, resume: true })).rejects.toThrow(
      /60 of its photos could be read, now it is 59; put back those that it was begun with/,
    );
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
    // On a slow machine not even one epoch is finished.
    expect(summary.epochs + (summary.part?.steps ?? 0)).toBeGreaterThan(0);
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
