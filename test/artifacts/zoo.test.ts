import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { compile, type Compiled } from '../../src/artifacts/compile.js';
import type { CompileOptions } from '../../src/artifacts/compileOptions.js';
import type { Preprocessing } from '../../src/artifacts/manifest.js';
import { tunedModel } from '../../src/artifacts/tunedModel.js';
import { encodeModel, readModel } from '../../src/onnx/model.js';
import type { ModelProto } from '../../src/onnx/onnx_pb.js';
import type { Tensor } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';
import { stateAfter } from '../stateAfter.js';

/** Made by `test/zoo/make-models.py --tiny`; see tiny_models.py there for what is odd about each. */
const folder = fileURLToPath(new URL('../fixtures/zoo/', import.meta.url));
const models = readdirSync(folder).filter((name) => name.endsWith('.onnx'));
const [SIDE, BATCH, CLASSES] = [32, 4, 3];
const [MEAN, STD] = [0.5, 0.25];
const preprocessing: Preprocessing = {
  height: SIDE,
  width: SIDE,
  resize: 'crop',
  mean: [MEAN, MEAN, MEAN],
  std: [STD, STD, STD],
};

const random = new Random(5);
const pixels = Uint8Array.from({ length: BATCH * SIDE * SIDE * 3 }, () => random.integer(256));
const labels = BigInt64Array.from({ length: BATCH }, (_, index) => BigInt(index % CLASSES));

const open = (model: ModelProto) =>
  ort.InferenceSession.create(encodeModel(model), { logSeverityLevel: 3, intraOpNumThreads: 1 });
const ofOrt = ({ data, dims }: Tensor): ort.Tensor => new ort.Tensor('float32', data as Float32Array, dims);
const numbers = (tensor: ort.Tensor | undefined) => Array.from((tensor?.data ?? []) as Float32Array);

/** Trains some steps on one batch: the losses, the parameters then, and the evaluation graph's logits with them. */
async function trainOn(compiled: Compiled) {
  const { manifest } = compiled;
  const image = { pixels: new ort.Tensor('uint8', pixels, [BATCH, SIDE, SIDE, 3]) };
  const boundary = { ...(compiled.frozen ? await (await open(compiled.frozen)).run(image) : {}), ...image };
  const given = Object.fromEntries(
    manifest.boundary.map(({ name }) => [name, (boundary as Record<string, ort.Tensor>)[name] ?? image.pixels]),
  );
  const training = await open(compiled.training);
  let state: ReadonlyMap<string, Tensor> = compiled.state;
  const losses: number[] = [];
  for (let step = 1; step <= 12; step++) {
    const results = await training.run({
      ...given,
      ...Object.fromEntries([...state].map(([name, each]) => [name, ofOrt(each)])),
      labels: new ort.Tensor('int64', labels, [BATCH]),
      image_weights: new ort.Tensor('float32', new Float32Array(BATCH).fill(1), [BATCH]),
      ...(training.inputNames.includes('step') ? { step: new ort.Tensor('float32', [step], []) } : {}),
    });
    losses.push(...numbers(results['loss']));
    state = stateAfter(manifest, state, results, { learningRate: 0.01, step });
  }
  const names = [...manifest.parameters, ...manifest.statistics].map(({ name }) => name);
  const parameters = new Map([...state].filter(([name]) => names.includes(name)));
  const evaluation = await open(compiled.evaluation);
  const learned = Object.fromEntries([...parameters].map(([name, each]) => [name, ofOrt(each)]));
  const { logits } = await evaluation.run({ ...given, ...learned });
  return { losses, parameters, logits: numbers(logits) };
}

/** The scores of an exported model in a plain session, one image at a time, as a program that deploys it would ask. */
async function scoresOf(model: ModelProto): Promise<number[]> {
  const session = await open(model);
  const scores: number[] = [];
  for (let index = 0; index < BATCH; index++) {
    const area = SIDE * SIDE;
    const normal = Array.from(pixels.subarray(index * area * 3, (index + 1) * area * 3), (x) => (x / 255 - MEAN) / STD);
    const [input] = session.inputMetadata;
    const isChannelsFirst = input?.isTensor === true && input.shape[1] === 3;
    const planes = Float32Array.from({ length: 3 * area }, (_, at) =>
      isChannelsFirst ? (normal[(at % area) * 3 + Math.floor(at / area)] ?? NaN) : (normal[at] ?? NaN),
    );
    const shape = isChannelsFirst ? [1, 3, SIDE, SIDE] : [1, SIDE, SIDE, 3];
    const results = await session.run({ [input?.name ?? '']: new ort.Tensor('float32', planes, shape) });
    const result = results[session.outputNames[0] ?? ''];
    expect(result?.dims).toEqual([1, CLASSES]);
    scores.push(...numbers(result));
  }
  return scores;
}

/** Of every row of classes. */
function softmax(logits: readonly number[]): number[] {
  return logits.map((_, index) => {
    const row = logits.slice(index - (index % CLASSES), index - (index % CLASSES) + CLASSES);
    return Math.exp(logits[index] ?? NaN) / row.reduce((sum, each) => sum + Math.exp(each), 0);
  });
}

const ENDS_IN_SOFTMAX = /keras|softmax|constants/;

describe.each(models)('%s', (name) => {
  const model = readModel(folder + name);

  it.each<[string, Partial<CompileOptions>]>([
    ['F1C0', {}],
    ['F1C1', {}],
    ['full', {}],
    ['bias', {}],
    ['F1C1', { hidden: [6] }],
    ['full', { batchNorm: 'batch' }],
  ])('trains with %s %j, and its exported model gives what the evaluation gave', async (policy, more) => {
    const options = { ...more, policy, classes: ['a', 'b', 'c'], batch: BATCH, preprocessing: () => preprocessing };
    const compiled = compile(model, options);
    const { losses, parameters, logits } = await trainOn(compiled);
    expect(losses.at(-1)).toBeLessThan(losses[0] ?? NaN);
    const exported = await scoresOf(tunedModel(model.proto, compiled.manifest, parameters));
    const expected = ENDS_IN_SOFTMAX.test(name) ? softmax(logits) : logits;
    exported.forEach((score, index) => expect(score).toBeCloseTo(expected[index] ?? NaN, 4));
  });
});

it('trains an exported model again, for as many classes', async () => {
  const options = { policy: 'F1C0', classes: ['a', 'b', 'c'], batch: BATCH, preprocessing: () => preprocessing };
  for (const name of ['constants.onnx', 'keras-conv-head-opset13.onnx']) {
    let model = readModel(folder + name);
    for (let round = 0; round < 2; round++) {
      const compiled = compile(model, options);
      const { parameters, logits } = await trainOn(compiled);
      model = { ...model, proto: tunedModel(model.proto, compiled.manifest, parameters) };
      const scores = await scoresOf(model.proto);
      scores.forEach((score, index) => expect(score).toBeCloseTo(softmax(logits)[index] ?? NaN, 4));
    }
  }
});

describe('the layers of the tiny models', () => {
  const layersOf = (name: string, policy: string) =>
    compile(readModel(`${folder}${name}.onnx`), {
      policy,
      classes: ['a', 'b'],
      batch: 1,
      preprocessing: () => preprocessing,
    }).manifest.layers.map(({ kind, parameters }) => [kind, parameters.length]);

  it('take a 1×1 convolution for the head, before the pooling and behind it', () => {
    expect(layersOf('squeeze-opset9-batch1', 'F1C0')).toEqual([['fc', 2]]);
    expect(layersOf('pointwise-new-external', 'F1C0')).toEqual([['fc', 2]]);
    expect(layersOf('keras-conv-head-opset13', 'FxC0')).toEqual([
      ['fc', 1],
      ['fc', 1],
    ]);
  });

  it('train a normalization between a trained convolution and the head', () => {
    expect(layersOf('dense-opset11-unfolded', 'F1C0')).toEqual([['fc', 2]]);
    expect(layersOf('dense-opset11-unfolded', 'F1C1')).toEqual([
      ['conv', 1],
      ['norm', 2],
      ['fc', 2],
    ]);
  });

  it('leave the convolutions of a gate out', () => {
    expect(layersOf('inverted-new', 'FxC3').map(([kind]) => kind)).toEqual(['conv', 'conv', 'conv', 'fc', 'fc']);
  });

  it('count a MatMul over a map as a convolution', () => {
    expect(layersOf('next-new', 'FxC1').map(([kind]) => kind)).toEqual(['conv', 'norm', 'fc']);
  });

  it('train scales of their own where the exporter wrote equal ones once', () => {
    const options = { policy: 'full', classes: ['a', 'b'], batch: 1, preprocessing: () => preprocessing };
    const { layers, separated } = compile(readModel(`${folder}next-new.onnx`), options).manifest;
    const scales = layers.filter(({ kind }) => kind === 'norm').flatMap(({ parameters }) => parameters);
    expect(scales).toHaveLength(6);
    expect(new Set(scales).size).toBe(6);
    expect(scales.sort()).toEqual(
      expect.arrayContaining(
        separated
          .map(({ name }) => name)
          .filter((name) => name.includes('layer_norm'))
          .sort(),
      ),
    );
  });
});
