import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { writeArtifacts } from '../../src/artifacts/artifactFiles.js';
import { compile } from '../../src/artifacts/compile.js';
import type { CompileOptions } from '../../src/artifacts/compileOptions.js';
import { loadArtifacts } from '../../src/artifacts/load.js';
import { compileOnDevice } from '../../src/artifacts/onDevice.js';
import { readOnDeviceCheckpoint, writeOnDeviceArtifacts } from '../../src/artifacts/onDeviceFiles.js';
import { encodeTuned } from '../../src/export/run.js';
import { readModel } from '../../src/onnx/model.js';
import { floats } from '../../src/onnx/tensor.js';
import { optimizers } from '../../src/optim/optimizer.js';
import { Random } from '../../src/random.js';
import { Stepper } from '../../src/runtime/stepper.js';
import { EFFICIENTNET_B0, SMALL_CNN, TINY_MBCONV, TINY_RESNET } from '../models.js';
import { storePhotos } from '../storePhotos.js';

const at = (name: string) => fileURLToPath(new URL(name, import.meta.url));
/** Python 3.11 with bench/peers/requirements-onnxruntime-training.txt. */
const python = process.env['ORT_TL_TRAINING_PYTHON'];
const runtimes: [string, string[]][] = [
  ['onnxruntime-web 1.19.2', [process.execPath, at('onnxruntime-web.js')]],
  ['onnxruntime-training 1.19.2', python === undefined ? [] : [python, at('onnxruntime_training.py')]],
];

const STEPS = 10;
const BATCH = 4;
const PHOTOS = 12;
const CLASSES = 3;
/** What onnxruntime-web's optimizer takes, with no way to change it. */
const LEARNING_RATE = 1e-3;
const MEAN = [0.4, 0.5, 0.6] as const;
const STD = [0.3, 0.25, 0.2] as const;

const labels = Array.from({ length: PHOTOS }, (_, photo) => (photo * photo + 1) % CLASSES);
/** The photos of every batch; the last place of each third one is only filled up. */
const batches = Array.from({ length: STEPS }, (_, step) =>
  Array.from({ length: BATCH }, (_, place) => {
    const photo = (step * BATCH + place) % PHOTOS;
    return photo === PHOTOS - 1 ? -1 : photo;
  }),
);

/** Photos whose brightness goes by their class. */
function draw(imageBytes: number): Uint8Array {
  const random = new Random(7);
  return Uint8Array.from({ length: PHOTOS * imageBytes }, (_, place) =>
    Math.min(255, Math.floor(random.next() * 128) + 40 * (labels[Math.floor(place / imageBytes)] ?? 0)),
  );
}

const answer = z.object({ losses: z.array(z.number()), logits: z.array(z.array(z.number())).optional() });

/** Ten steps of our own trainer and of the vendor's runtime, of the same artifacts, data and order. */
async function train(path: string, more: Partial<CompileOptions>, [command = '', ...script]: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-vendor-'));
  const options: CompileOptions = {
    policy: 'F1C1',
    classes: ['a', 'b', 'c'],
    batch: BATCH,
    decayAll: true,
    preprocessing: ([height, width]) => ({ height, width, resize: 'crop', mean: [...MEAN], std: [...STD] }),
    ...more,
  };
  const source = readModel(path);
  const manifest = await writeOnDeviceArtifacts(compileOnDevice(source, options), join(folder, 'theirs'));
  await writeArtifacts(compile(source, options), join(folder, 'ours'));
  const { height, width } = manifest.preprocessing;
  const imageBytes = height * width * 3;
  const pixels = draw(imageBytes);

  const stepper = await Stepper.create(loadArtifacts(join(folder, 'ours')), { slots: PHOTOS, threads: 1 });
  await storePhotos(stepper, join(folder, 'ours'), { slots: Int32Array.from(labels.keys()), labels, pixels });
  const slots = Int32Array.from(batches.flat());
  const plan = { slots, learningRates: new Float32Array(STEPS).fill(LEARNING_RATE), firstStep: 1 };
  const { losses } = await stepper.steps(plan);
  const state = await stepper.getState();
  const { logits } = await stepper.evaluate(Int32Array.from(labels.keys()));
  await stepper.close();

  mkdirSync(join(folder, 'data'));
  const none = new Uint8Array(imageBytes);
  writeFileSync(
    join(folder, 'data', 'pixels.bin'),
    Buffer.concat(
      batches.flat().map((photo) => (photo < 0 ? none : pixels.subarray(photo * imageBytes, (photo + 1) * imageBytes))),
    ),
  );
  writeFileSync(
    join(folder, 'data', 'plan.json'),
    JSON.stringify({
      shape: [BATCH, height, width, 3],
      learningRate: LEARNING_RATE,
      labels: batches.map((batch) => batch.map((photo) => (photo < 0 ? -1 : labels[photo]))),
    }),
  );
  const trained = join(folder, 'trained');
  const args = [...script, join(folder, 'theirs'), join(folder, 'data'), trained];
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 26 });
  expect(status, stderr).toBe(0);
  const theirs = answer.parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''));
  return { source, manifest, pixels, ours: { losses: [...losses], state, logits }, theirs, trained };
}

/** Logits of the first `count` photos by an exported model, normalised here. */
async function logitsOf(model: Uint8Array, pixels: Uint8Array, count: number, [height, width]: [number, number]) {
  const area = height * width;
  const images = new Float32Array(count * 3 * area);
  for (let image = 0; image < count; image++)
    for (let channel = 0; channel < 3; channel++)
      for (let place = 0; place < area; place++)
        images[(image * 3 + channel) * area + place] =
          ((pixels[(image * area + place) * 3 + channel] ?? 0) / 255 - (MEAN[channel] ?? 0)) / (STD[channel] ?? 1);
  const session = await ort.InferenceSession.create(model);
  const feeds = { [session.inputNames[0] ?? '']: new ort.Tensor('float32', images, [count, 3, height, width]) };
  const results = await session.run(feeds);
  return [...((results[session.outputNames[0] ?? '']?.data ?? []) as Float32Array)];
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((most, value, index) => Math.max(most, Math.abs(value - (b[index] ?? NaN))), 0);
}

async function check(path: string, more: Partial<CompileOptions>, runtime: readonly string[]): Promise<void> {
  const { source, manifest, pixels, ours, theirs, trained } = await train(path, more, runtime);
  expect(largestDifference(theirs.losses, ours.losses)).toBeLessThan(1e-4);
  expect(Math.abs((ours.losses.at(-1) ?? NaN) - (ours.losses[0] ?? NaN))).toBeGreaterThan(0.01);

  const parameters = readOnDeviceCheckpoint(trained, manifest);
  for (const { name } of manifest.parameters) {
    const [own, got] = [ours.state.get(name), parameters.get(name)];
    if (!own || !got) throw new Error(name);
    // Where a gradient is nothing but rounding, Adam makes a step of a part of the learning rate's size of it.
    expect(largestDifference(floats(own), floats(got)), name).toBeLessThan(2e-4);
  }

  const tuned = encodeTuned(source, { manifest, parameters });
  const { height, width } = manifest.preprocessing;
  const logits = await logitsOf(tuned, pixels, PHOTOS, [height, width]);
  expect(largestDifference(logits, ours.logits)).toBeLessThan(2e-3);
  // The vendor's own export of what it has trained.
  if (theirs.logits)
    expect(largestDifference(logits.slice(0, BATCH * CLASSES), theirs.logits.flat())).toBeLessThan(1e-3);
}

const sgd = { ...optimizers.sgd, momentum: 0, weightDecay: 0 };

describe.each(runtimes)('%s takes ten steps with our losses, and what it has learned comes back', (_, runtime) => {
  it.skipIf(runtime.length === 0).each<[string, string, Partial<CompileOptions>]>([
    ['the small CNN, F1C1', SMALL_CNN, {}],
    ['the small CNN, every layer, clipped', SMALL_CNN, { policy: 'full', clipNorm: 0.5 }],
    ['the small CNN, SGD, clipped', SMALL_CNN, { optimizer: sgd, clipNorm: 0.3 }],
    ['a small ResNet with a hidden layer', TINY_RESNET, { hidden: [16] }],
    ['a small MBConv network, biases', TINY_MBCONV, { policy: 'bias' }],
    [
      'a small MBConv network, a loss with everything',
      TINY_MBCONV,
      { policy: 'full', classWeights: [1, 2, 0.5], labelSmoothing: 0.1, focalGamma: 2 },
    ],
  ])('%s', async (__, path, more) => {
    await check(path, more, runtime);
  });

  it.skipIf(runtime.length === 0 || !existsSync(EFFICIENTNET_B0))('EfficientNet-B0, F1C1', async () => {
    await check(EFFICIENTNET_B0, {}, runtime);
  });
});
