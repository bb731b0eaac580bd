import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clone } from '@bufbuild/protobuf';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { writeArtifacts } from '../../src/artifacts/artifactFiles.js';
import { compile, type Compiled } from '../../src/artifacts/compile.js';
import type { CompileOptions } from '../../src/artifacts/compileOptions.js';
import { loadArtifacts } from '../../src/artifacts/load.js';
import { tunedModel } from '../../src/artifacts/tunedModel.js';
import { encodeModel, type ModelFile, readModel } from '../../src/onnx/model.js';
import { ModelProtoSchema } from '../../src/onnx/onnx_pb.js';
import { floats, floatTensor } from '../../src/onnx/tensor.js';
import { optimizers } from '../../src/optim/optimizer.js';
import { Stepper } from '../../src/runtime/stepper.js';
import { SMALL_CNN, TINY_MBCONV, TINY_RESNET } from '../models.js';
import { storePhotos } from '../storePhotos.js';

const SIDE = 16;
const PHOTOS = 6;
const pixels = Uint8Array.from(
  { length: PHOTOS * SIDE * SIDE * 3 },
  (_, index) => (index * 7919 + (index >> 7) * 31) % 251,
);

function compiled(path: string, policy: string, more: Partial<CompileOptions> = {}, model = readModel(path)): Compiled {
  return compile(model, {
    policy,
    classes: ['a', 'b', 'c'],
    batch: 4,
    batchNorm: 'batch',
    preprocessing: ([height, width]) => ({ height, width, resize: 'crop', mean: [0, 0, 0], std: [1, 1, 1] }),
    ...more,
  });
}

async function open(artifacts: Compiled): Promise<Stepper> {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  await writeArtifacts(artifacts, folder);
  const stepper = await Stepper.create(loadArtifacts(folder), { slots: PHOTOS, threads: 1 });
  const slots = Int32Array.of(0, 1, 2, 3, 4, 5);
  await storePhotos(stepper, folder, { slots, labels: [0, 1, 2, 0, 1, 2], pixels });
  return stepper;
}

const take = (stepper: Stepper, slots: readonly number[], count = 1) =>
  stepper.steps({
    slots: Int32Array.from(slots),
    learningRates: new Float32Array(count).fill(1e-2),
    firstStep: 1,
  });

/** Logits of all photos by the exported model in a plain session. */
async function run(proto: ModelFile['proto']): Promise<Float32Array> {
  const area = SIDE * SIDE;
  const input = new Float32Array(pixels.length);
  pixels.forEach((value, index) => {
    const [image, place, channel] = [Math.floor(index / (3 * area)), Math.floor(index / 3) % area, index % 3];
    input[(image * 3 + channel) * area + place] = value / 255;
  });
  const session = await ort.InferenceSession.create(encodeModel(proto), { logSeverityLevel: 3, intraOpNumThreads: 1 });
  const results = await session.run({ input: new ort.Tensor('float32', input, [PHOTOS, 3, SIDE, SIDE]) });
  await session.release();
  return results['logits']?.data as Float32Array;
}

// How far from PyTorch ten steps end is in test/train/pytorch.test.ts.
describe('--bn batch', () => {
  it('updates the running averages of trained layers, and of no others', () => {
    const names = (policy: string) => compiled(TINY_MBCONV, policy).manifest.statistics.map(({ name }) => name);
    expect(names('F1C1')).toEqual(['head.1.running_mean', 'head.1.running_var']);
    expect(names('full')).toHaveLength(2 * 11);
    expect(compiled(TINY_MBCONV, 'full', { batchNorm: 'frozen' }).manifest.statistics).toEqual([]);
  });

  it('warns where it changes nothing', () => {
    const warned = /no trained layer has a BatchNormalization/;
    expect(compiled(TINY_MBCONV, 'F1C0').manifest.warnings.join()).toMatch(warned);
    expect(compiled(SMALL_CNN, 'full').manifest.warnings.join()).toMatch(warned);
    expect(compiled(TINY_MBCONV, 'F1C1').manifest.warnings.join()).not.toMatch(warned);
  });

  it.each(['sgd', 'adamw'] as const)('does not let the filling of a last batch count (%s)', async (name) => {
    const optimizer = optimizers[name];
    const whole = await open(compiled(TINY_RESNET, 'full', { batch: 2, optimizer }));
    const filled = await open(compiled(TINY_RESNET, 'full', { batch: 5, optimizer }));
    const { losses } = await take(whole, [0, 1, 2, 3], 2);
    const { losses: others } = await take(filled, [0, 1, -1, -1, -1, 2, 3, -1, -1, -1], 2);
    losses.forEach((loss, step) => expect(others[step]).toBeCloseTo(loss, 5));
    const state = await filled.getState();
    for (const [key, value] of await whole.getState()) {
      const got = state.get(key);
      floats(value).forEach((number, index) => expect(got?.data[index], key).toBeCloseTo(number, 5));
    }
    await whole.close();
    await filled.close();
  });

  it('takes a single image, whose pooled map has no variance', async () => {
    const stepper = await open(compiled(TINY_RESNET, 'full', { batch: 2 }));
    const { losses } = await take(stepper, [0, -1]);
    expect(Number.isFinite(losses[0])).toBe(true);
    for (const [key, value] of await stepper.getState()) expect(floats(value).every(Number.isFinite), key).toBe(true);
    await stepper.close();
  });

  it('evaluates each photo by the running averages, whatever is beside it', async () => {
    const stepper = await open(compiled(TINY_MBCONV, 'blocks:1'));
    await take(stepper, [0, 1, 2, 3, 4, 5, 0, 1], 2);
    const { logits: all } = await stepper.evaluate(Int32Array.from([0, 1, 2, 3]));
    const { logits: alone } = await stepper.evaluate(Int32Array.from([2]));
    alone.forEach((value, index) => expect(all[2 * 3 + index]).toBeCloseTo(value, 5));
    await stepper.close();
  });

  it.each(['F1C1', 'blocks:2', 'bias', 'full'])(
    'writes averages into the exported model, which agrees with the evaluation (%s)',
    async (policy) => {
      const source = readModel(TINY_MBCONV);
      const artifacts = compiled(TINY_MBCONV, policy);
      const stepper = await open(artifacts);
      await take(stepper, [0, 1, 2, 3, 4, 5, 0, 1], 2);
      const { logits } = await stepper.evaluate(Int32Array.from([0, 1, 2, 3, 4, 5]));
      const state = await stepper.getState();
      await stepper.close();
      const exported = tunedModel(source.proto, artifacts.manifest, state);
      const bytes = (proto: ModelFile['proto'], name: string) =>
        Buffer.from(proto.graph?.initializer.find((each) => each.name === name)?.rawData ?? []);
      for (const { name } of artifacts.manifest.statistics)
        expect(bytes(exported, name).equals(bytes(source.proto, name)), name).toBe(false);

      const got = await run(exported);
      logits.forEach((value, index) => expect(got[index]).toBeCloseTo(value, 4));
    },
  );

  it.each([{ batchNorm: 'batch' as const }, { batchNorm: 'frozen' as const, dropout: 0.2 }])(
    'is no option where a batch is run in parts: %j',
    (more) => {
      expect(() => compiled(TINY_RESNET, 'full', { microBatch: 2, ...more })).toThrow(/leave out accumulate/);
    },
  );

  it('gives each normalization its own averages where the model shares them, with a shift even', async () => {
    const source = readModel(TINY_RESNET);
    const proto = clone(ModelProtoSchema, source.proto);
    const [first, second] = proto.graph?.node.filter(({ opType }) => opType === 'BatchNormalization') ?? [];
    if (!first || !second) throw new Error('no normalizations');
    first.input[3] = second.input[3] = 'stem.1.bias';
    const shared = { ...source, proto };
    expect(() => compiled(TINY_RESNET, 'full', { batchNorm: 'frozen' }, shared)).not.toThrow();
    const artifacts = compiled(TINY_RESNET, 'full', {}, shared);
    const stepper = await open(artifacts);
    await take(stepper, [0, 1, 2, 3]);
    const { logits } = await stepper.evaluate(Int32Array.from([0, 1, 2, 3, 4, 5]));
    const state = await stepper.getState();
    await stepper.close();
    const names = artifacts.manifest.statistics.slice(0, 3).map(({ name }) => name);
    const [stem, , block] = names.map((name) => floats(state.get(name) ?? floatTensor([0], [])));
    expect(stem).not.toEqual(block);
    const exported = tunedModel(proto, artifacts.manifest, state);
    const got = await run(exported);
    logits.forEach((value, index) => expect(got[index]).toBeCloseTo(value, 4));
  });
});
