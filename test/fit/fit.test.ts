import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { writeArtifacts } from '../../src/artifacts/artifactFiles.js';
import { compile } from '../../src/artifacts/compile.js';
import { loadArtifacts } from '../../src/artifacts/load.js';
import { STEP_INPUTS, STEP_OUTPUTS } from '../../src/artifacts/manifest.js';
import type { Dataset } from '../../src/data/dataset.js';
import { decodeContent } from '../../src/data/decode.js';
import { centredView } from '../../src/data/geometry.js';
import { openDataset } from '../../src/data/openDataset.js';
import { drawPictures } from '../../src/data/pictures.js';
import { readPhoto } from '../../src/data/readPhoto.js';
import { fit, type FitOptions } from '../../src/fit/fitArtifacts.js';
import { federationFingerprint, readParameters, type SharedParameters } from '../../src/fit/federation.js';
import { writeFit } from '../../src/fit/fitReport.js';
import { readModel } from '../../src/onnx/model.js';
import { readSafetensors, writeSafetensors } from '../../src/onnx/safetensors.js';
import { floatTensor } from '../../src/onnx/tensor.js';
import { type Optimizer, optimizerCalled } from '../../src/optim/optimizer.js';
import { resultOf } from '../../src/resultOf.js';
import { orderOfEpoch } from '../../src/train/epochOrder.js';
import { Trainer } from '../../src/train/trainer.js';
import { SMALL_CNN, TINY_RESNET } from '../models.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));
const CLASSES = ['boat', 'cup', 'fish', 'flower', 'house', 'tree'];
const BATCH = 8;
const RATE = 0.01;
const descent = optimizerCalled('sgd', { momentum: 0, weightDecay: 0 });

let pictures: string;
let dataset: Dataset;
let artifacts: string;

async function compiled(options: { optimizer?: Optimizer; classes?: string[] } = {}): Promise<string> {
  const at = folder();
  const { optimizer = descent, classes = CLASSES } = options;
  await writeArtifacts(compile(readModel(SMALL_CNN), { policy: 'F1C1', classes, batch: BATCH, optimizer }), at);
  return at;
}

const measured = (path: string, options: { valFraction?: number } = {}) =>
  openDataset(path, { ...options, use: 'measuring' });
const run = (options: Partial<FitOptions>) =>
  resultOf(fit({ artifacts, dataset, learningRate: RATE, threads: 1, ...options }));
const bits = (parameters: SharedParameters) =>
  [...parameters].map(([name, { data }]) => [
    name,
    Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'),
  ]);

beforeAll(async () => {
  pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 4, valPerClass: 2, size: 48, seed: 1 });
  dataset = await measured(pictures);
  artifacts = await compiled();
});

/** A round in plain JavaScript: gradients of the training graph, and p ← p − η·(g + μ·(p − p₀)). */
async function plainRound(begin: SharedParameters, { seed, proximal }: { seed: number; proximal: number }) {
  const { manifest } = loadArtifacts(artifacts);
  const session = (name: string) => ort.InferenceSession.create(join(artifacts, name), { intraOpNumThreads: 1 });
  const [frozen, training] = [await session('frozen.onnx'), await session('training_model.onnx')];
  const { preprocessing, boundary } = manifest;
  const [value] = boundary;
  if (!value || boundary.length > 1) throw new Error('expected one value at the boundary');
  const rows: Float32Array[] = [];
  for (const photo of dataset.train) {
    const content = await readPhoto(photo);
    const pixels = await decodeContent(content, photo.path, (size) => centredView(size, preprocessing));
    const { height, width } = preprocessing;
    const results = await frozen.run({
      pixels: new ort.Tensor('uint8', Uint8Array.from(pixels), [1, height, width, 3]),
    });
    rows.push(Float32Array.from(results[value.name]?.data as Float32Array));
  }
  const parameters = new Map([...begin].map(([name, { data }]) => [name, Float32Array.from(data as Float32Array)]));
  const settings = { seed, batch: BATCH, sampling: 'shuffled' } as const;
  const order = orderOfEpoch([...rows.keys()], () => [], 1, settings);
  let [loss, steps] = [0, 0];
  for (let first = 0; first < order.length; first += BATCH) {
    const photos = [...order.subarray(first, first + BATCH)];
    const size = rows[0]?.length ?? 0;
    const batch = new Float32Array(BATCH * size);
    photos.forEach((photo, n) => batch.set(rows[photo] ?? [], n * size));
    const feeds: Record<string, ort.Tensor> = {
      [value.name]: new ort.Tensor('float32', batch, [BATCH, ...value.shape]),
      [STEP_INPUTS.labels]: new ort.Tensor(
        'int64',
        BigInt64Array.from(photos, (photo) => BigInt(dataset.train[photo]?.label ?? -1)),
      ),
      [STEP_INPUTS.shares]: new ort.Tensor('float32', new Float32Array(BATCH).fill(1 / BATCH)),
    };
    for (const { name, shape } of manifest.parameters)
      feeds[name] = new ort.Tensor('float32', Float32Array.from(parameters.get(name) ?? []), shape);
    const results = await training.run(feeds);
    loss += Number(results[STEP_OUTPUTS.loss]?.data[0]);
    steps++;
    for (const { name, gradient = '' } of manifest.parameters) {
      const [slope, anchor] = [results[gradient]?.data as Float32Array, begin.get(name)?.data as Float32Array];
      parameters.get(name)?.forEach((p, at, values) => {
        values[at] = p - RATE * ((slope[at] ?? NaN) + proximal * (p - (anchor[at] ?? NaN)));
      });
    }
  }
  return {
    parameters: new Map([...parameters].map(([name, data]) => [name, floatTensor(begin.get(name)?.dims ?? [], data)])),
    loss: loss / steps,
  };
}

function largestDifference(a: SharedParameters, b: SharedParameters): number {
  let largest = 0;
  for (const [name, { data }] of a)
    (data as Float32Array).forEach((value, at) => {
      largest = Math.max(largest, Math.abs(value - Number(b.get(name)?.data[at] ?? NaN)));
    });
  return largest;
}

describe('rounds of a device', () => {
  it.each([0, 5])('hand over parameters as plain JavaScript computes them, proximal %s', async (proximal) => {
    const initial = (await run({ epochs: 0 })).parameters;
    let [given, expected]: SharedParameters[] = [initial, initial];
    if (!given || !expected) throw new Error('no parameters');
    for (const seed of [3, 4]) {
      const { parameters, report } = await run({ parameters: given, seed, proximal });
      const plain = await plainRound(expected, { seed, proximal });
      expect(report.trainLoss[0]).toBeCloseTo(plain.loss, 5);
      expect(largestDifference(parameters, plain.parameters)).toBeLessThan(1e-6);
      expect(largestDifference(parameters, given)).toBeGreaterThan(1e-4);
      [given, expected] = [parameters, plain.parameters];
    }
  });

  it('of two epochs end as a training with the same settings does, to the bit', async () => {
    const out = join(folder(), 'run');
    const settings = {
      optimizer: optimizerCalled('adamw', {}),
      batch: BATCH,
      learningRate: RATE,
      seed: 7,
      threads: 1,
    } as const;
    const trained = await openDataset(pictures, { seed: 7 });
    await new Trainer({
      ...{ ...settings, model: readModel(SMALL_CNN), dataset: trained, policy: 'F1C1', out, verify: 0 },
      ...{ epochs: 2, schedule: 'constant', warmupEpochs: 0 },
    }).run();
    const { parameters } = await run({ artifacts: join(out, 'artifacts'), seed: 7, epochs: 2 });
    const last = readSafetensors(join(out, 'last', 'checkpoint.safetensors')).tensors;
    expect(bits(parameters)).toEqual(bits(new Map([...last].filter(([name]) => parameters.has(name)))));
  });

  it('with the same seed have the same bits, and with another one others', async () => {
    const [one, other, third] = [await run({ seed: 1 }), await run({ seed: 1 }), await run({ seed: 2 })];
    expect(bits(one.parameters)).toEqual(bits(other.parameters));
    expect(bits(one.parameters)).not.toEqual(bits(third.parameters));
  });

  it('compute features once, and say so', async () => {
    const cache = folder();
    const [first, second] = [await run({ cache }), await run({ cache })];
    expect(first.report.features).toEqual({ computed: 36, kept: 0 });
    expect(second.report.features).toEqual({ computed: 0, kept: 36 });
    expect(bits(second.parameters)).toEqual(bits(first.parameters));
    expect(second.report.after).toEqual(first.report.after);
  });

  it('train running averages of BatchNormalizations too, and moving averages of parameters begin with what is given', async () => {
    const at = folder();
    const options = {
      policy: 'blocks:1',
      classes: CLASSES,
      batch: BATCH,
      batchNorm: 'batch',
      averageDecay: 0.5,
      optimizer: descent,
    } as const;
    await writeArtifacts(compile(readModel(TINY_RESNET), options), at);
    const { manifest } = loadArtifacts(at);
    expect(manifest.statistics.length).toBeGreaterThan(0);
    const { parameters } = await run({ artifacts: at });
    const names = [...manifest.parameters, ...manifest.statistics].map(({ name }) => name);
    expect([...parameters.keys()]).toEqual(names);
    const again = await run({ artifacts: at, parameters, epochs: 0 });
    expect(again.report.before?.loss).toBe((await run({ artifacts: at })).report.after?.loss);
  });
});

describe('what a device tells', () => {
  it('counts its photos and what was right, before and after', async () => {
    const { report } = await run({ epochs: 2, proximal: 0.5, seed: 9 });
    expect(report).toMatchObject({
      ...{
        format: 1,
        policy: 'F1C1',
        classes: CLASSES,
        epochs: 2,
        learningRate: RATE,
        proximal: 0.5,
        seed: 9,
        steps: 6,
      },
      photos: { train: 24, val: 12, byClass: { boat: 4, cup: 4, fish: 4, flower: 4, house: 4, tree: 4 } },
      before: { evaluated: 12 },
      after: { evaluated: 12 },
      ...{ joules: null, energyNotMeasured: 'it was not asked for' },
    });
    expect(report.trainLoss).toHaveLength(2);
    const { correct = NaN, top1 = NaN } = report.after ?? {};
    expect(correct / 12).toBe(top1);
    const { manifest } = loadArtifacts(artifacts);
    const elements = manifest.parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(report.parameterBytes).toBe(4 * elements);
    expect(report.fingerprint).toBe(federationFingerprint(manifest));
  });

  it('evaluates without training where there are no epochs, on all photos where all validate', async () => {
    const flat = join(pictures, 'train');
    const given = (await run({})).parameters;
    const { report, parameters } = await run({
      dataset: await measured(flat, { valFraction: 1 }),
      epochs: 0,
      parameters: given,
    });
    expect(report).toMatchObject({ photos: { train: 0, val: 24 }, trainLoss: [], steps: 0, before: { evaluated: 24 } });
    expect(report.after).toEqual(report.before);
    expect(bits(parameters)).toEqual(bits(given));
  });

  it('has no metrics where no photos validate, and trains with all', async () => {
    const { report } = await run({ dataset: await measured(join(pictures, 'train'), { valFraction: 0 }) });
    expect(report).toMatchObject({ photos: { train: 24, val: 0 }, before: null, after: null });
  });

  it('trains on photos of some of the classes, in the order of the artifacts', async () => {
    const at = await compiled({ classes: [...CLASSES].reverse() });
    const some = {
      ...dataset,
      classes: ['boat', 'cup'],
      train: dataset.train.filter(({ label }) => label < 2),
      val: [],
    };
    const { report } = await run({ artifacts: at, dataset: some });
    expect(report.photos.byClass).toEqual({ tree: 0, house: 0, flower: 0, fish: 0, cup: 4, boat: 4 });
    const reversed = await run({ artifacts: at });
    // Labels are those of the artifacts: what the other order learns is as right.
    expect(reversed.report.trainLoss[0]).toBeLessThan(3);
  });
});

describe('a device refuses', () => {
  const begin = async () => new Map((await run({ epochs: 0 })).parameters);
  const first = (parameters: SharedParameters) => [...parameters][0] ?? ['', floatTensor([0], [])];

  it('photos of a class that the artifacts do not have', async () => {
    const at = await compiled({ classes: CLASSES.slice(1) });
    await expect(run({ artifacts: at })).rejects.toMatchObject({
      code: 'unknown-class',
      message: expect.stringContaining('"boat"') as string,
    });
  });

  it('parameters that are missing, of another shape or name, or no numbers, by the name of the first', async () => {
    const whole = await begin();
    const [name, value] = first(whole);
    const code = (parameters: SharedParameters) =>
      run({ parameters }).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
    const named = (code: string) => ({ code, message: expect.stringContaining(`"${name}"`) as string });
    expect(await code(new Map([...whole].slice(1)))).toMatchObject(named('bad-parameters'));
    expect(await code(new Map([...whole, [name, floatTensor([1], [0])]]))).toMatchObject(named('bad-parameters'));
    expect(await code(new Map([...whole, ['other', value]]))).toMatchObject({
      code: 'bad-parameters',
      message: expect.stringContaining('"other"') as string,
    });
    for (const bad of [NaN, Infinity]) {
      const data = Float32Array.from(value.data as Float32Array);
      data[1] = bad;
      expect(await code(new Map([...whole, [name, floatTensor(value.dims, data)]]))).toMatchObject(named('not-finite'));
    }
  });

  it('a learning rate with which the loss runs away, and gives nothing', async () => {
    await expect(run({ learningRate: 1e12, epochs: 3 })).rejects.toMatchObject({ code: 'diverged' });
  });

  it('to train without photos, and stops when it is told to', async () => {
    const nothing = { ...dataset, train: [] };
    await expect(run({ dataset: nothing })).rejects.toMatchObject({ code: 'no-photos' });
    await expect(resultOf(fit({ artifacts }))).rejects.toMatchObject({ code: 'bad-arguments' });
    await expect(run({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'stopped' });
  });
});

it('writes files that belong together, and reads its parameters again', async () => {
  const out = join(folder(), 'out');
  const result = await run({});
  await writeFit(out, result);
  const { manifest } = loadArtifacts(artifacts);
  expect(bits(readParameters(join(out, 'parameters.safetensors'), manifest))).toEqual(bits(result.parameters));
  const { createHash } = await import('node:crypto');
  const sha256 = createHash('sha256')
    .update(readFileSync(join(out, 'parameters.safetensors')))
    .digest('hex');
  expect(JSON.parse(readFileSync(join(out, 'fit.json'), 'utf8'))).toMatchObject({ parametersSha256: sha256 });
  const path = join(folder(), 'cut.safetensors');
  await writeSafetensors(path, result.parameters);
  expect(() => readParameters(artifacts, manifest)).toThrow(/is not a whole safetensors file/);
});
