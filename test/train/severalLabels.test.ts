import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../src/artifacts/compile.js';
import { inspect } from '../../src/artifacts/inspectModel.js';
import { METADATA } from '../../src/artifacts/manifest.js';
import { type Dataset } from '../../src/data/dataset.js';
import { openDataset } from '../../src/data/openDataset.js';
import { drawPictures } from '../../src/data/pictures.js';
import { exportModel } from '../../src/export/exportModel.js';
import { readLearned } from '../../src/export/run.js';
import { applyDelta, encodeDelta, readDelta } from '../../src/export/delta.js';
import { Builder } from '../../src/graph/builder.js';
import type { Value } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { writeFileAtomically } from '../../src/files.js';
import { metadataOf, type ModelFile, readModel, writeModel } from '../../src/onnx/model.js';
import { tunedModel } from '../../src/artifacts/tunedModel.js';
import { floatTensor } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';
import { resultOf } from '../../src/resultOf.js';
import { ImageClassifier } from '../../src/runtime/classifier.js';
import { evaluate } from '../../src/train/evaluate.js';
import { predict } from '../../src/train/predictPhoto.js';
import { Trainer } from '../../src/train/trainer.js';
import type { TrainOptions } from '../../src/train/trainOptions.js';
import { EFFICIENTNET_LITE0, SMALL_CNN } from '../models.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));
let dataset: Dataset;
let model: ModelFile;
beforeAll(async () => {
  const pictures = folder();
  await drawPictures(pictures, { set: 'scenes', trainPerClass: 20, valPerClass: 6, size: 48, seed: 3 });
  dataset = await openDataset(join(pictures, 'labels.csv'), { seed: 0 });
  model = readModel(SMALL_CNN);
});

const train = (options: Partial<TrainOptions> = {}) => {
  const out = options.out ?? join(folder(), 'run');
  return new Trainer({
    ...{ model, dataset, policy: 'F1C1', epochs: 3, batch: 16, threads: 1, seed: 1, verify: 36, out },
    ...options,
  }).run();
};

const THINGS = ['boat', 'cup', 'fish', 'flower', 'house', 'tree'];

describe('a training of several labels', () => {
  it('opens drawn scenes as such, of which some show nothing', () => {
    expect([dataset.task, dataset.classes]).toEqual(['labels', THINGS]);
    const counts = new Set(dataset.train.map(({ labels }) => labels?.length));
    expect(counts).toEqual(new Set([0, 1, 2, 3, 4]));
  });

  it('is judged by mAP, keeps the thresholds in its model, and the model gives the same labels', async () => {
    const out = join(folder(), 'run');
    const summary = await train({ out, epochs: 5 });
    expect(summary).toMatchObject({ task: 'labels', metric: 'map' });
    expect(summary.top1).toBeUndefined();
    expect(summary.verified).toMatchObject({ ok: true, photos: 36, agreeing: 36 });
    const lines = readFileSync(join(out, 'results.csv'), 'utf8').trim().split('\n');
    expect(lines[0]).toBe('epoch,learningRate,trainLoss,valLoss,map,macroF1,microF1,elapsedMs,imagesPerSecond');
    const maps = lines.slice(1).map((line) => Number(line.split(',')[4]));
    expect(summary.map).toBe(Math.max(...maps));
    expect(maps.indexOf(Math.max(...maps)) + 1).toBe(summary.bestEpoch);
    const [low = NaN, high = NaN] = summary.mapInterval ?? [];
    expect(low < (summary.map ?? NaN) && (summary.map ?? NaN) < high).toBe(true);

    const metadata = metadataOf(readModel(join(out, 'model.onnx')).proto);
    expect(metadata.get(METADATA.task)).toBe('labels');
    expect(JSON.parse(metadata.get(METADATA.thresholds) ?? '')).toEqual(summary.thresholds);

    const classifier = await ImageClassifier.open(join(out, 'model.onnx'), 1);
    const measured = await resultOf(evaluate(classifier, dataset));
    if (measured.task !== 'labels') throw new Error('labels were measured');
    expect(measured.map).toBeCloseTo(summary.map ?? NaN, 6);
    expect(measured.classes.map(({ threshold }) => threshold)).toEqual(summary.thresholds);
    expect(measured.macroF1).toBeCloseTo(summary.metrics.macroF1, 6);
    const [photo] = dataset.val;
    const scored = await predict(classifier, photo?.path ?? '');
    expect(scored.map(({ label }) => label).sort()).toEqual(THINGS);
    for (const { label, threshold } of scored) expect(threshold).toBe(summary.thresholds?.[THINGS.indexOf(label)]);
    await classifier.close();

    const page = readFileSync(join(out, 'mistakes.html'), 'utf8');
    for (const thing of THINGS) expect(page).toContain(`<h2>${thing}</h2>`);
    expect(page).toMatch(/missed[^]*wrongly seen/);
    expect(readFileSync(join(out, 'README.md'), 'utf8')).toMatch(
      /\| mAP \| .* % of 36 validation photos \(95 % interval/,
    );
  });

  it.each<[string, Partial<TrainOptions>]>([
    ['asymmetric', { loss: 'asymmetric' }],
    ['balanced, smoothed', { classWeights: 'balanced', labelSmoothing: 0.1 }],
    ['mixed photos', { augmentation: { mixup: 0.2, flip: 0, rotate: 0, erase: 0, cutmix: 0 }, views: 2 }],
    ['in mixed precision', { precision: 'mixed' }],
    ['in parts, drawn evenly', { accumulate: 3, sampling: 'balanced', focalGamma: 1 }],
  ])('learns with another loss or other photos: %s', async (_, options) => {
    const { verified, metrics } = await train({ epochs: 4, ...options });
    expect(verified.ok).toBe(true);
    // What chance gives is the mean share of photos of a label.
    const shares = THINGS.map(
      (_, label) => dataset.val.filter(({ labels }) => labels?.includes(label)).length / dataset.val.length,
    );
    const chance = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    expect('map' in metrics && metrics.map).toBeGreaterThan(chance);
  });

  it('goes on where it stopped, to the same bits, and only with the same task', async () => {
    const whole = join(folder(), 'whole');
    await train({ out: whole });
    const out = join(folder(), 'stopped');
    const stopping = new AbortController();
    await new Trainer({
      ...{ model, dataset, policy: 'F1C1', epochs: 3, batch: 16, threads: 1, seed: 1, verify: 36, out },
      signal: stopping.signal,
    }).run((event) => {
      if (event.type === 'epoch' && event.result.epoch === 1) stopping.abort();
    });
    const { task, ...classes } = dataset;
    const asClasses = { ...classes, train: dataset.train.map(({ labels, ...photo }) => photo) };
    await expect(train({ out, resume: true, dataset: { ...asClasses, val: asClasses.train } })).rejects.toMatchObject({
      code: 'cannot-resume',
    });
    await train({ out, resume: true });
    expect(readFileSync(join(out, 'model.onnx')).equals(readFileSync(join(whole, 'model.onnx')))).toBe(true);
  });

  it('exports logits or probabilities of each label, in whole numbers too, and refuses shares of one whole', async () => {
    const out = join(folder(), 'run');
    await train({ out });
    const learned = readLearned(out);
    for (const options of [
      { precision: 'fp32' as const },
      { precision: 'fp16' as const },
      { precision: 'int8' as const, sigmoid: true },
    ]) {
      const { proto, parity } = await resultOf(exportModel(model, learned, { ...options, dataset, threads: 1 }));
      expect(parity.ok).toBe(true);
      expect(parity.map?.trained).toBeGreaterThan(0);
      expect(parity.top1).toBeUndefined();
      if (options.precision !== 'int8') expect(parity.agreement).toBe(1);
      expect(metadataOf(proto).get(METADATA.task)).toBe('labels');
      expect(proto.graph?.node.at(-1)?.opType === 'Sigmoid').toBe('sigmoid' in options);
    }
    const refused = resultOf(exportModel(model, learned, { precision: 'fp32', softmax: true, dataset }));
    await expect(refused).rejects.toMatchObject({ code: 'bad-arguments', message: /leave out softmax/ });

    const delta = join(folder(), 'delta');
    await writeFileAtomically(delta, ...encodeDelta(model, learned));
    expect(Buffer.from(applyDelta(model, readDelta(delta))).equals(readFileSync(join(out, 'model.onnx')))).toBe(true);
  });

  it('keeps the rows of labels that a tuned model knows', async () => {
    const out = join(folder(), 'run');
    await train({ out });
    const tuned = readModel(join(out, 'model.onnx'));
    const { manifest } = compile(tuned, { policy: 'F1C0', task: 'labels', classes: ['cup', 'tree', 'new'] });
    expect(manifest.notes.join()).toMatch(/goes on from what the head knows of cup, tree; new: new/);
    expect(manifest).toMatchObject({ task: 'labels', targets: 'soft' });
  });

  it('leaves nothing that tells of labels in a model that goes on with classes', async () => {
    const out = join(folder(), 'run');
    await train({ out, epochs: 1, verify: 0 });
    const tuned = readModel(join(out, 'model.onnx'));
    const { manifest, state } = compile(tuned, { policy: 'F1C0', classes: ['a', 'b', 'c'] });
    const metadata = metadataOf(tunedModel(tuned.proto, manifest, state));
    expect(JSON.parse(metadata.get(METADATA.labels) ?? '')).toEqual(['a', 'b', 'c']);
    expect([metadata.get(METADATA.task), metadata.get(METADATA.thresholds)]).toEqual([undefined, undefined]);
  });

  it('refuses what is of classes', async () => {
    await expect(train({ metric: 'top1' })).rejects.toMatchObject({ code: 'bad-arguments' });
    const [classes] = [['a', 'b']];
    expect(() => compile(model, { classes, loss: 'asymmetric' })).toThrow(/asymmetric loss/);
    expect(() => compile(model, { classes, task: 'labels', loss: 'asymmetric', focalGamma: 1 })).toThrow(/focalGamma/);
  });

  it('trains one label, which photos have or not', async () => {
    const cup = dataset.classes.indexOf('cup');
    const only = (photos: Dataset['train']) =>
      photos.map((photo) => ({ ...photo, labels: photo.labels?.includes(cup) ? [0] : [] }));
    const one = { ...dataset, classes: ['cup'], train: only(dataset.train), val: only(dataset.val) };
    const { verified, thresholds } = await train({ dataset: one, policy: 'F1C0' });
    expect([verified.ok, thresholds?.length]).toEqual([true, 1]);
  });

  it.each([['balanced' as const], [[0, 1]]])('trains a label that every photo has, by weights %s', async (weights) => {
    const cup = dataset.classes.indexOf('cup');
    const always = (photos: Dataset['train']) =>
      photos.map((photo) => ({ ...photo, labels: photo.labels?.includes(cup) ? [0, 1] : [0] }));
    const two = { ...dataset, classes: ['a thing', 'cup'], train: always(dataset.train), val: always(dataset.val) };
    const { perClass, verified } = await train({ dataset: two, policy: 'F1C0', epochs: 1, classWeights: weights });
    expect(verified.ok).toBe(true);
    expect(perClass[0]).toMatchObject({ averagePrecision: 1, recall: 1 });
  });
});

/** A small network whose end is `end`. */
async function networkEndingIn(end: (g: Builder, scores: Value) => Value): Promise<ModelFile> {
  const g = new Builder(18);
  const random = new Random(1);
  const weight = (name: string, dims: number[]) =>
    g.constant(
      name,
      floatTensor(
        dims,
        Array.from({ length: dims.reduce((a, b) => a * b) }, () => 0.2 * random.normal()),
      ),
    );
  const image = g.input('image', 'float32', [{ batch: 1 }, 3, 32, 32]);
  const map = g.relu(g.conv(image, weight('conv', [16, 3, 5, 5]), {}));
  const scores = g.gemm(g.op('Flatten', [g.op('GlobalAveragePool', [map])]), weight('fc', [4, 16]), {
    transB: true,
    c: weight('bias', [4]),
  });
  g.output('result', end(g, scores));
  const path = join(folder(), 'net.onnx');
  await writeModel(modelOfGraph(g.graph, 'net'), path);
  return readModel(path);
}

describe('a model that ends in', () => {
  it.each<[string, (g: Builder, scores: Value) => Value, string]>([
    ['Sigmoid', (g, scores) => g.sigmoid(scores), 'Sigmoid'],
    ['Softmax', (g, scores) => g.softmax(scores, 1), 'Sigmoid'],
    ['LogSoftmax', (g, scores) => g.logSoftmax(scores, 1), 'Identity'],
    ['HardSigmoid', (g, scores) => g.op('HardSigmoid', [scores]), 'Sigmoid'],
  ])('%s trains labels, and its tuned model gives what was evaluated', async (_, end, op) => {
    const out = join(folder(), 'run');
    const { verified } = await train({ model: await networkEndingIn(end), out, epochs: 2 });
    expect(verified).toMatchObject({ ok: true, agreeing: 36 });
    expect(readModel(join(out, 'model.onnx')).proto.graph?.node.at(-1)?.opType).toBe(op);
    await rm(out, { recursive: true });
  });

  it('Sigmoid is refused for classes', async () => {
    const sigmoid = await networkEndingIn((g, scores) => g.sigmoid(scores));
    expect(() => compile(sigmoid, { classes: ['a', 'b'] })).toThrow(/ends the model/);
  });

  it('Sigmoid is inspected as one of labels, with a policy too', async () => {
    const sigmoid = await networkEndingIn((g, scores) => g.sigmoid(scores));
    const { task, classes, policy } = inspect(sigmoid, { batch: 16, policy: 'F1C0' });
    expect([task, classes, policy?.trainableParameters]).toEqual(['labels', 4, 4 * 16 + 4]);
  });

  it('logits is one of labels where config.json of Hugging Face beside it says so', async () => {
    const plain = await networkEndingIn((g, scores) => g.op('Identity', [scores]));
    const labels = ['a', 'b', 'c', 'd'];
    const open = async () => {
      const classifier = await ImageClassifier.open(plain.path, 1, { labels, preprocessing: 'unit' });
      await classifier.close();
      return [classifier.task, classifier.thresholds];
    };
    expect(await open()).toEqual(['classes', undefined]);
    const config = { problem_type: 'multi_label_classification' };
    writeFileSync(join(dirname(plain.path), 'config.json'), JSON.stringify(config));
    expect(await open()).toEqual(['labels', [0.5, 0.5, 0.5, 0.5]]);
  });
});

it('trains the network that comes with ort-tl, and by int8', async () => {
  const lite0 = readModel(EFFICIENTNET_LITE0);
  const few = { ...dataset, train: dataset.train.slice(0, 40), val: dataset.val.slice(0, 16) };
  const summary = await train({
    model: lite0,
    dataset: few,
    policy: 'F1C0',
    epochs: 1,
    frozen: 'int8',
    verify: 8,
  });
  expect(summary.verified.ok).toBe(true);
  expect(summary.frozen?.map?.int8).toBeGreaterThan(0);
});
