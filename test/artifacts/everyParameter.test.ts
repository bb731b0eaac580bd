import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { writeArtifacts } from '../../src/artifacts/artifactFiles.js';
import { compile } from '../../src/artifacts/compile.js';
import type { CompileOptions } from '../../src/artifacts/compileOptions.js';
import { inspect } from '../../src/artifacts/inspectModel.js';
import { loadArtifacts } from '../../src/artifacts/load.js';
import { tunedModel } from '../../src/artifacts/tunedModel.js';
import { encodeModel, type ModelFile, readModel } from '../../src/onnx/model.js';
import { floats, floatTensor } from '../../src/onnx/tensor.js';
import { Stepper } from '../../src/runtime/stepper.js';
import { storePhotos } from '../storePhotos.js';

/** Made by test/fixtures/parameters/make_parameters.py, with PyTorch's values. */
const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/parameters/${name}`, import.meta.url));
const recordSchema = z.object({
  labels: z.array(z.number()),
  rate: z.number(),
  loss: z.number(),
  scores: z.array(z.number()),
  parameters: z.record(
    z.string(),
    z.object({ shape: z.array(z.number()), before: z.array(z.number()), after: z.array(z.number()) }),
  ),
});
const recordOf = (name: string) => recordSchema.parse(JSON.parse(readFileSync(fixture(`${name}.json`), 'utf8')));

const SIDE = 16;
const BATCH = 4;

/** The fixtures' pixels. */
function pixels(): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length: BATCH * SIDE * SIDE * 3 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

const options = (policy: string, classes: number, more: Partial<CompileOptions> = {}): CompileOptions => ({
  policy,
  classes: Array.from({ length: classes }, (_, index) => `class ${index}`),
  batch: BATCH,
  optimizer: { name: 'sgd', momentum: 0, weightDecay: 0 },
  preprocessing: ([height, width]) => ({ height, width, resize: 'crop', mean: [0, 0, 0], std: [1, 1, 1] }),
  ...more,
});

async function stepped(model: ModelFile, compileOptions: CompileOptions, labels: readonly number[], rate: number) {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  const manifest = await writeArtifacts(compile(model, compileOptions), folder);
  const stepper = await Stepper.create(loadArtifacts(folder), { slots: BATCH, threads: 1 });
  const slots = Int32Array.from({ length: BATCH }, (_, index) => index);
  await storePhotos(stepper, folder, { slots, labels: [...labels], pixels: pixels() });
  const before = (await stepper.evaluate(slots)).logits.slice();
  const { losses } = await stepper.steps({ slots, learningRates: Float32Array.of(rate), firstStep: 1 });
  const after = (await stepper.evaluate(slots)).logits.slice();
  const state = await stepper.getState();
  await stepper.close();
  return { manifest, before, after, losses, state };
}

async function run(proto: ModelFile['proto']): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(encodeModel(proto), { intraOpNumThreads: 1 });
  const input = new Float32Array(BATCH * 3 * SIDE * SIDE);
  pixels().forEach((value, index) => {
    const [image, place, channel] = [Math.floor(index / 768), Math.floor((index % 768) / 3), index % 3];
    input[image * 768 + channel * 256 + place] = value / 255;
  });
  const [name = ''] = session.inputNames;
  const results = await session.run({ [name]: new ort.Tensor('float32', input, [BATCH, 3, SIDE, SIDE]) });
  await session.release();
  return results[session.outputNames[0] ?? '']?.data as Float32Array;
}

/** Rows of numbers as Softmax gives them. */
const shares = (rows: Float32Array, classes: number) =>
  rows.map((value, index) => {
    const row = rows.subarray(index - (index % classes), index - (index % classes) + classes);
    return Math.exp(value) / row.reduce((sum, each) => sum + Math.exp(each), 0);
  });

const near = (got: ArrayLike<number>, wanted: ArrayLike<number>, relative: number, what: string) => {
  expect(got.length, what).toBe(wanted.length);
  const largest = Array.from(wanted).reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);
  for (let index = 0; index < wanted.length; index++)
    expect(Math.abs((got[index] ?? NaN) - (wanted[index] ?? 0)), `${what}[${index}]`).toBeLessThan(
      relative * largest + 1e-7,
    );
};

const models = ['everything', 'cosine', 'directions', 'einsum', 'normalized', 'whole_map', 'mixer'];

describe('full', () => {
  it.each(models)('trains every parameter of %s as PyTorch does', async (name) => {
    const model = readModel(fixture(`${name}.onnx`));
    const { parameters, labels, rate, loss, scores } = recordOf(name);
    const init = new Map(
      Object.entries(parameters).map(([key, { shape, before }]) => [key, floatTensor(shape, before)]),
    );
    const { manifest, before, losses, state, after } = await stepped(model, options('full', 3, { init }), labels, rate);
    expect(manifest.parameters.map((each) => each.name).sort()).toEqual(Object.keys(parameters).sort());
    expect(manifest.cost.trainableParameters).toBe(manifest.cost.parameters);
    near(before, scores, 1e-5, 'scores');
    expect(losses[0]).toBeCloseTo(loss, 5);
    for (const [key, wanted] of Object.entries(parameters)) {
      const value = state.get(key);
      if (!value) throw new Error(`"${key}" has no value`);
      near(floats(value), wanted.after, 1e-5, key);
      // The step itself, which may be small beside the parameter.
      const change = floats(value).map((each, index) => each - (wanted.before[index] ?? 0));
      near(
        change,
        wanted.after.map((each, index) => each - (wanted.before[index] ?? 0)),
        1e-3,
        `change of ${key}`,
      );
    }
    const exported = await run(tunedModel(model.proto, manifest, state));
    near(exported, name === 'normalized' ? shares(after, 3) : after, 1e-4, 'the exported scores');
  });

  it('trains what the new exporter has not put together as PyTorch does', async () => {
    const model = readModel(fixture('everything_dynamo.onnx'));
    const { parameters, labels, rate, scores } = recordOf('everything_dynamo');
    const heads = Object.entries(parameters).filter(([key]) => key.startsWith('head'));
    const init = new Map(heads.map(([key, { shape, before }]) => [key, floatTensor(shape, before)]));
    const untrained = compile(model, options('full', 3, { init })).state;
    const { before, state } = await stepped(model, options('full', 3, { init }), labels, rate);
    near(before, scores, 1e-5, 'scores');
    const own = Object.entries(parameters).filter(([key, { before: wanted }]) => {
      const value = untrained.get(key);
      return value && floats(value).every((each, index) => Math.abs(each - (wanted[index] ?? 0)) < 1e-6);
    });
    // The exporter has computed what reads these, so that the file has other tensors in their places.
    const names = own.map(([key]) => key);
    const joined = ['stem', 'slope', 'one_slope', 'standard', 'group', 'qkv', 'proj', 'bias_table'];
    const others = Object.keys(parameters).filter((key) => !joined.includes(key.split('.')[0] ?? ''));
    expect(names).toEqual(expect.arrayContaining(others));
    for (const [key, { after }] of own) near(floats(state.get(key) ?? floatTensor([0], [])), after, 1e-5, key);
  });
});

describe('a head', () => {
  it.each(models)('of other classes is trained, and exported, as one function: %s', async (name) => {
    const model = readModel(fixture(`${name}.onnx`));
    for (const [policy, classes] of [
      ['F1C0', 5],
      ['full', 2],
    ] as const) {
      const { manifest, after, state, losses } = await stepped(model, options(policy, classes), [0, 1, 1, 0], 0.1);
      expect(Number.isFinite(losses[0])).toBe(true);
      const exported = await run(tunedModel(model.proto, manifest, state));
      near(exported, name === 'normalized' ? shares(after, classes) : after, 1e-4, `${policy} of ${classes} classes`);
    }
  });
});

describe('inspect', () => {
  it('lists what is no parameter, and what no policy but full trains', () => {
    const { buffers, onlyByName, parameters } = inspect(readModel(fixture('everything.onnx')), { batch: 4 });
    const named = new Map(buffers.map(({ name, reason }) => [name, reason]));
    expect(named.get('attn_mask')).toBe('its name says so');
    expect([...named.keys()]).toEqual(
      expect.arrayContaining(['pixel_mean', 'pixel_std', 'rotary_cos', 'rotary_sin', 'stem_norm.norm.running_mean']),
    );
    expect(onlyByName).toEqual(expect.arrayContaining(['slope.weight', 'layer_scale', 'resweight', 'pos_embed']));
    const sizes = Object.values(recordOf('everything').parameters).map(({ before }) => before.length);
    expect(parameters).toBe(sizes.reduce((sum, size) => sum + size, 0));
  });
});
