import { mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../src/data/dataset.js';
import { ImageFolder } from '../../src/data/imageFolder.js';
import { drawPictures } from '../../src/data/pictures.js';
import { allFinite, nonFiniteIn } from '../../src/finite.js';
import { Builder } from '../../src/graph/builder.js';
import { int } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { readModel, writeModel } from '../../src/onnx/model.js';
import { readSafetensors, writeSafetensors } from '../../src/onnx/safetensors.js';
import { floatTensor, tensor } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';
import { recommend } from '../../src/recommend/recommendPolicy.js';
import { resultOf } from '../../src/resultOf.js';
import { ImageClassifier } from '../../src/runtime/classifier.js';
import { readLast, writeLast } from '../../src/train/checkpoint.js';
import { evaluate } from '../../src/train/evaluate.js';
import { PhotoExplainer } from '../../src/train/photoExplainer.js';
import type { TrainOptions } from '../../src/train/trainOptions.js';
import { predict } from '../../src/train/predictPhoto.js';
import { Trainer } from '../../src/train/trainer.js';
import { tunedModel } from '../../src/artifacts/tunedModel.js';
import { compile } from '../../src/artifacts/compile.js';
import { SMALL_CNN } from '../models.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));
const errorOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
const weightsOf = (run: string, which: 'best' | 'last') =>
  readSafetensors(join(run, which, 'checkpoint.safetensors')).tensors;

let dataset: Dataset;
let pictures: string;
beforeAll(async () => {
  pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 4, valPerClass: 2, size: 32, seed: 5 });
  dataset = await ImageFolder.open(pictures, { seed: 0 });
});

const SGD = { name: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 } as const;

/** A step an epoch, of all photos, at a rate that is never lowered. */
const options = (out: string, more: Partial<TrainOptions>): TrainOptions => ({
  ...{ model: readModel(SMALL_CNN), dataset, out, policy: 'F1C1', threads: 1 },
  ...{ batch: 24, epochs: 1, warmupEpochs: 0, schedule: 'constant', optimizer: SGD },
  ...more,
});

describe('a training whose last step makes no numbers of the parameters', () => {
  it.each([
    // Products with the photos' features are infinite, the parameters may still be finite.
    ['F1C0', 3e38],
    ['F1C1', 3e38],
    ['full', 1e30],
  ])('has diverged, and keeps nothing of it: %s at %f', async (policy, learningRate) => {
    const out = folder();
    const thrown = await errorOf(new Trainer(options(out, { policy, learningRate })).run());
    expect(thrown).toMatchObject({ name: 'UserError', code: 'diverged' });
    expect(thrown).toHaveProperty('message', expect.stringMatching(/no longer a number .*no epoch was finished/));
    expect(readdirSync(out).sort()).toEqual(['.ort-tl-run.json', 'artifacts', 'events.jsonl', 'skipped.csv']);
  });

  // Weights decay to −1e20 of themselves at every step: after the first they are numbers, and so is the loss of the second.
  const decays = { name: 'sgd', momentum: 0, nesterov: false, weightDecay: 1e5 } as const;
  const second = { policy: 'F1C0', learningRate: 1e15, epochs: 2, optimizer: decays };

  it('keeps the last epoch whose numbers were numbers', async () => {
    const out = folder();
    const thrown = await errorOf(new Trainer(options(out, second)).run());
    expect(thrown).toMatchObject({ code: 'diverged' });
    expect(thrown).toHaveProperty('message', expect.stringContaining('model.onnx has the weights of epoch 1'));
    for (const which of ['best', 'last'] as const) expect(nonFiniteIn(weightsOf(out, which))).toBeUndefined();
    const classifier = await ImageClassifier.open(join(out, 'model.onnx'));
    const { height, width } = classifier.preprocessing;
    expect(allFinite(await classifier.run(new Uint8Array(height * width * 3).fill(99), 1))).toBe(true);
    await classifier.close();
  });

  it('keeps it too where it is stopped there, to be resumed', async () => {
    const out = folder();
    const controller = new AbortController();
    const run = new Trainer(options(out, { ...second, signal: controller.signal })).run((event) => {
      if (event.type === 'progress' && event.phase === 'training' && event.epoch === 2) controller.abort();
    });
    expect(await errorOf(run)).toMatchObject({ code: 'diverged' });
    expect(nonFiniteIn(weightsOf(out, 'last'))).toBeUndefined();
    const resumed = new Trainer(options(out, { ...second, resume: true })).run();
    expect(await errorOf(resumed)).toMatchObject({ code: 'diverged' });
  });
});

describe('a checkpoint', () => {
  const progress = {
    ...{ settings: { epochs: 3 }, learningRate: NaN, startedAtMs: 5, firstLoss: null, results: [], best: null },
    partial: { steps: 2, lossSum: Infinity, correct: 1, images: 8, elapsedMs: 7 },
    ...{ moves: [], elapsedMs: 7 },
  };
  /** Nothing that would have to be as the run was begun with. */
  const identity = () => ({}) as Parameters<typeof readLast>[1];

  it('gives back numbers that JSON has not', async () => {
    const out = folder();
    await writeLast(out, new Map([['w', floatTensor([2], [1, 2])]]), progress);
    expect(readLast(out, identity()).progress).toEqual(progress);
  });

  it('is read where an earlier version made null of them', async () => {
    const out = folder();
    const json = JSON.stringify(progress);
    expect(json).toContain('null');
    await writeSafetensors(join(out, 'last', 'checkpoint.safetensors'), new Map([['w', floatTensor([1], [1])]]), {
      progress: json,
    });
    expect(readLast(out, identity()).progress).toMatchObject({ learningRate: NaN, partial: { lossSum: NaN } });
  });

  it('of a training that has diverged says so', async () => {
    const out = folder();
    await writeLast(out, new Map([['w', floatTensor([2], [1, NaN])]]), progress);
    expect(() => readLast(out, identity())).toThrow(/its training has diverged.*\(learningRate\)/);
  });
});

describe('a model that gives no numbers for some photos', () => {
  let model: string;
  let withBlack: Dataset;
  let black: string;
  beforeAll(async () => {
    // Each photo is divided by its deviation, which of a photo of one colour is nothing.
    const g = new Builder(18);
    const random = new Random(3);
    const weight = (name: string, dims: readonly number[]) =>
      g.constant(
        name,
        floatTensor(
          dims,
          Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.normal() / 3),
        ),
      );
    const image = g.input('image', 'float32', [{ batch: 1 }, 3, 16, 16]);
    const centred = g.sub(image, g.reduceMean(image, [2, 3], true));
    const deviation = g.op('Sqrt', [g.reduceMean(g.mul(centred, centred), [2, 3], true)]);
    const x = g.relu(
      g.op('Conv', [g.div(centred, deviation), weight('conv.weight', [4, 3, 3, 3])], {}, { name: 'conv' }),
    );
    const pooled = g.op('Flatten', [g.op('GlobalAveragePool', [x], {}, { name: 'pool' })], { axis: int(1) });
    g.output('logits', g.op('Gemm', [pooled, weight('fc.weight', [2, 4]), weight('fc.bias', [2])], { transB: int(1) }));
    model = join(folder(), 'standardizing.onnx');
    await writeModel(modelOfGraph(g.graph, 'standardizing'), model);

    const at = folder();
    const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
    for (const split of ['train', 'val'])
      for (const name of ['a', 'b']) {
        mkdirSync(join(at, split, name), { recursive: true });
        for (let n = 0; n < 4; n++)
          await sharp({ create: { width: 16, height: 16, channels: 3, background: '#888', noise } })
            .png()
            .toFile(join(at, split, name, `${n}.png`));
      }
    black = join(folder(), 'black.png');
    await sharp({ create: { width: 16, height: 16, channels: 3, background: '#000' } })
      .png()
      .toFile(black);
    dataset = await ImageFolder.open(at, { seed: 0 });
    withBlack = { ...dataset, val: [...dataset.val, { path: black, label: 1 }] };
  });

  const train = (photos: Dataset, more: Partial<TrainOptions> = {}) => {
    const out = folder();
    const settings = options(out, { model: readModel(model), dataset: photos, batch: 4, policy: 'F1C0' });
    return { out, run: new Trainer({ ...settings, preprocessing: 'unit', learningRate: 0.01, ...more }).run() };
  };

  it.each(['train', 'val'] as const)('is told of by the photo, where it is among those to %s with', async (split) => {
    const photos = { ...dataset, [split]: [...dataset[split], { path: black, label: 1 }] };
    const thrown = await errorOf(train(photos).run);
    expect(thrown).toMatchObject({ code: 'not-finite', name: 'UserError' });
    expect(thrown).toHaveProperty('message', expect.stringContaining(`${black} before it has learned anything`));
  });

  it('is told of before a learning rate is looked for', async () => {
    const photos = { ...dataset, train: [{ path: black, label: 1 }, ...dataset.train] };
    const thrown = await errorOf(train(photos, { learningRate: 'auto', batch: 16 }).run);
    expect(thrown).toMatchObject({ code: 'not-finite' });
  });

  it('is told of by predict, eval, explain and the ranges of int8, and no class is named', async () => {
    const { out, run } = train(dataset);
    await run;
    const tuned = join(out, 'model.onnx');
    const classifier = await ImageClassifier.open(tuned);
    const refused = { code: 'not-finite', message: expect.stringContaining(black) as string };
    for (const photo of [black, { path: black }])
      expect(await errorOf(predict(classifier, photo))).toMatchObject(refused);
    expect(await errorOf(resultOf(evaluate(classifier, withBlack)))).toMatchObject(refused);
    await classifier.close();
    const explainer = await PhotoExplainer.open(tuned);
    for (const photo of [black, { path: black }])
      expect(await errorOf(explainer.explain(photo))).toMatchObject(refused);
    expect(await errorOf(explainer.explain(black, 'b'))).toMatchObject(refused);
    await explainer.close();
    const blacks = { ...dataset, train: [...dataset.train, { path: black, label: 1 }] };
    expect(await errorOf(train(blacks, { frozen: 'int8' }).run)).toMatchObject({ code: 'not-finite' });
  });
});

describe('recommend', () => {
  it('says that the short training of the head has diverged', async () => {
    const photos = await ImageFolder.open(pictures, { seed: 0 });
    const rest = options(folder(), { dataset: photos, learningRate: 3e38, epochs: 2 });
    const events = recommend({ ...rest, policies: ['F1C0', 'F1C1'] });
    const all = async () => {
      for (let next = await events.next(); !next.done; next = await events.next());
    };
    expect(await errorOf(all())).toMatchObject({ code: 'diverged' });
  });
});

it('makes no model of parameters that are no numbers', () => {
  const source = readModel(SMALL_CNN);
  const { manifest, state } = compile(source, { policy: 'F1C0', classes: ['a', 'b'], batch: 2 });
  const parameters = new Map(
    [...state].map(([name, { dims, data }]) => [
      name,
      tensor('float32', dims, new Float32Array(data.length).fill(NaN)),
    ]),
  );
  expect(() => tunedModel(source.proto, manifest, parameters)).toThrow(expect.objectContaining({ code: 'not-finite' }));
});
