import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { compile, type Compiled } from '../../src/artifacts/compile.js';
import { inspect } from '../../src/artifacts/inspectModel.js';
import { stateAfter } from '../stateAfter.js';
import { classifierOf } from '../../src/artifacts/prepare.js';
import { tunedModel } from '../../src/artifacts/tunedModel.js';
import { Builder } from '../../src/graph/builder.js';
import type { Value } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { type ModelFile, readModel } from '../../src/onnx/model.js';
import type { ModelProto } from '../../src/onnx/onnx_pb.js';
import { elementCount, floats, floatTensor, type Tensor, tensorOfProto } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';
import { CompiledParts } from '../../src/runtime/compiledParts.js';
import { CLASSES, draws, floatsOf, IMAGES, logitsOf, open, pixels, SIDE, spread } from './transformerImages.js';

/** Made by `test/zoo/make_lora_fixtures.py` with PyTorch, of the models of `test/zoo/make_transformer_fixtures.py`. */
const folder = fileURLToPath(new URL('../fixtures/transformers/', import.meta.url));
const numbers = z.array(z.number());
const fixture = z
  .object({
    rank: z.number(),
    alpha: z.number(),
    rate: z.number(),
    files: z.record(z.string(), z.array(z.string())),
    models: z.record(
      z.string(),
      z.record(
        z.string(),
        z.object({
          adapters: z.array(z.tuple([z.number(), z.number(), z.number(), z.number(), z.number(), z.number()])),
          head: z.array(z.tuple([z.number(), z.number()])),
          logits: numbers,
        }),
      ),
    ),
  })
  .parse(JSON.parse(readFileSync(`${folder}lora.json`, 'utf8')));
const { rank, alpha, rate } = fixture;
const POLICY = `lora:${rank}:${alpha}`;

const options = {
  classes: Array.from({ length: CLASSES }, (_, index) => `class ${index}`),
  batch: IMAGES,
  optimizer: { name: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 },
  preprocessing: 'unit',
  warmStart: false,
} as const;

/** The model's own head, and A of every adapter as the script draws it. */
function beginning(model: ModelFile): Map<string, Tensor> {
  const { parameters } = classifierOf(model).layers.fcs.at(-1) ?? { parameters: [] };
  const init = new Map(parameters.flatMap(({ name, constant }) => (constant ? [[name, constant] as const] : [])));
  const { manifest } = compile(model, { ...options, policy: POLICY });
  for (const { a } of manifest.adapters) {
    const { shape = [] } = manifest.parameters.find(({ name }) => name === a) ?? {};
    const [inputs = 0, columns = 0] = shape;
    init.set(
      a,
      floatTensor(
        shape,
        spread(inputs * columns).map((value) => value / Math.sqrt(inputs)),
      ),
    );
  }
  return init;
}

/** Takes steps of gradient descent, as a training does: gives the state after some of them. */
async function descend({ manifest, state, ...compiled }: Compiled, steps: readonly number[]) {
  const image = { pixels: new ort.Tensor('uint8', pixels, [IMAGES, SIDE, SIDE, 3]) };
  const boundary: Record<string, ort.Tensor> = compiled.frozen ? await (await open(compiled.frozen)).run(image) : {};
  const training = await open(compiled.training);
  let values: ReadonlyMap<string, Tensor> = state;
  const after = new Map<number, ReadonlyMap<string, Tensor>>();
  for (let step = 1; step <= Math.max(...steps); step++) {
    const results = await training.run({
      ...Object.fromEntries(manifest.boundary.map(({ name }) => [name, boundary[name] ?? image.pixels])),
      ...Object.fromEntries(
        [...values].map(([name, { dims, data }]) => [name, new ort.Tensor('float32', data as Float32Array, dims)]),
      ),
      labels: new ort.Tensor('int64', BigInt64Array.from([1n, 2n]), [IMAGES]),
      image_weights: new ort.Tensor('float32', new Float32Array(IMAGES).fill(1 / IMAGES), [IMAGES]),
      ...(training.inputNames.includes('step') ? { step: new ort.Tensor('float32', [step], []) } : {}),
    });
    values = stateAfter(manifest, values, results, { learningRate: rate, step });
    if (steps.includes(step)) after.set(step, values);
  }
  return after;
}

/** Holds a tensor's norm, and its product with drawn numbers, against PyTorch's. */
function expectLike(tensor: Tensor | undefined, [norm, along]: readonly [number, number], what: string) {
  const values = [...(tensor?.data ?? [])].map(Number);
  const direction = spread(values.length);
  const got = values.reduce((sum, value, index) => sum + value * (direction[index] ?? NaN), 0);
  expect(Math.abs(Math.hypot(...values) - norm) / norm, what).toBeLessThan(1e-4);
  expect(Math.abs(got - along) / norm, what).toBeLessThan(1e-4);
}

describe.each(Object.entries(fixture.files).flatMap(([name, files]) => files.map((file) => [file, name] as const)))(
  '%s',
  (file, name) => {
    const model = readModel(`${folder}${file}.onnx`);
    const expected = fixture.models[name] ?? {};
    let compiled: Compiled;
    let after: Map<number, ReadonlyMap<string, Tensor>>;
    beforeAll(async () => {
      compiled = compile(model, { ...options, policy: POLICY, init: beginning(model) });
      after = await descend(compiled, [1, 5]);
    });

    it.each([1, 5])('has after %s steps the adapters and the head of PyTorch', (steps) => {
      const { adapters = [], head = [] } = expected[steps] ?? {};
      const state = after.get(steps);
      expect(compiled.manifest.adapters).toHaveLength(adapters.length);
      compiled.manifest.adapters.forEach(({ weight, a, b }, index) => {
        const [inputs, outputs, normA = NaN, alongA = NaN, normB = NaN, alongB = NaN] = adapters[index] ?? [];
        expect(state?.get(a)?.dims).toEqual([inputs, rank]);
        expect(state?.get(b)?.dims).toEqual([rank, outputs]);
        expectLike(state?.get(a), [normA, alongA], `A beside ${weight}`);
        expectLike(state?.get(b), [normB, alongB], `B beside ${weight}`);
      });
      const [, bias] = compiled.manifest.layers.at(-1)?.parameters ?? [];
      expectLike(state?.get(bias ?? ''), head[1] ?? [NaN, NaN], 'the bias of the head');
    });

    it('gives, merged into a plain model, the logits of PyTorch', async () => {
      const tuned = tunedModel(model.proto, compiled.manifest, after.get(5) ?? new Map());
      const logits = await logitsOf(tuned);
      const wanted = expected[5]?.logits ?? [];
      const largest = Math.max(...wanted.map(Math.abs));
      expect(logits).toHaveLength(IMAGES * CLASSES);
      logits.forEach((value, index) => {
        expect(Math.abs(value - (wanted[index] ?? NaN)) / largest).toBeLessThan(1e-5);
      });
      expect(tuned.graph?.node.map(({ opType }) => opType)).toEqual(
        model.proto.graph?.node.map(({ opType }) => opType),
      );
      expect(tuned.graph?.initializer.map(({ name: each }) => each)).toEqual(
        model.proto.graph?.initializer.map(({ name: each }) => each),
      );
    });
  },
);

describe('what is adapted', () => {
  const model = readModel(`${folder}vit-ts17-dynamic.onnx`);
  const of = (policy: string, more = {}) => compile(model, { ...options, policy, ...more });

  it('begins with A uniform in ±1/√(inputs) from the seed and B zero, so that the model is what it was', () => {
    const { manifest, state } = of('lora:2');
    for (const { a, b } of manifest.adapters) {
      const [drawn, zero] = [state.get(a), state.get(b)];
      if (!drawn || !zero) throw new Error('no adapter');
      const bound = 1 / Math.sqrt(drawn.dims[0] ?? 0);
      const largest = Math.max(...floats(drawn).map(Math.abs));
      expect(largest).toBeLessThanOrEqual(bound);
      expect(largest).toBeGreaterThan(0.7 * bound);
      expect(new Set(floats(zero))).toEqual(new Set([0]));
    }
    const [first] = manifest.adapters;
    expect(of('lora:2').state.get(first?.a ?? '')).toEqual(state.get(first?.a ?? ''));
    expect(of('lora:2', { seed: 1 }).state.get(first?.a ?? '')).not.toEqual(state.get(first?.a ?? ''));
    const tuned = tunedModel(model.proto, manifest, state);
    const source = new Map(model.proto.graph?.initializer.map((each) => [each.name, each]));
    const tensors = new Map(tuned.graph?.initializer.map((each) => [each.name, each]));
    for (const { weight } of manifest.adapters) {
      const [before, now] = [source.get(weight)?.rawData, tensors.get(weight)?.rawData];
      expect(Buffer.from(now ?? []).equals(before ?? Buffer.alloc(0))).toBe(true);
    }
  });

  it('keeps the matrices, and trains beside those of both blocks and the head', () => {
    const { manifest, state } = of('lora:2');
    // Two blocks of width 16: 16 → 48, 16 → 16, 16 → 64, 64 → 16 each; a head of 16 × 10 and 10.
    const each = 2 * (16 + 48 + (16 + 16) + (16 + 64) + (64 + 16));
    expect(manifest.cost.trainableParameters).toBe(2 * each + 170);
    expect(manifest.adapters.map(({ scale }) => scale)).toEqual(Array.from({ length: 8 }, () => 2));
    expect([...state.keys()].filter((name) => manifest.adapters.some(({ weight }) => weight === name))).toEqual([]);
  });

  it('trains beside the last blocks alone where it is asked to', () => {
    const { manifest } = of('lora:2:3@1');
    expect(manifest.policy).toBe('lora:2:3@1');
    expect(manifest.adapters).toHaveLength(4);
    expect(manifest.adapters[0]?.scale).toBe(1.5);
    expect(manifest.adapters.map(({ weight }) => weight)).toEqual(
      of('lora:2')
        .manifest.adapters.slice(4)
        .map(({ weight }) => weight),
    );
  });

  it('refuses more blocks than there are, and a rank that no matrix has', () => {
    expect(() => of('lora:2@3')).toThrow(/asks for 3 blocks, but the model has 2; choose lora:2@2/);
    expect(() => of('lora:17')).toThrow(/no matrix has more than 16/);
  });

  it('counts for inspect what trains beside each layer', () => {
    const { layers, policy } = inspect(model, { policy: 'lora:2', batch: 1 });
    expect(layers.flatMap(({ adapterParameters }) => (adapterParameters > 0 ? [adapterParameters] : []))).toEqual([
      128, 64, 160, 160, 128, 64, 160, 160,
    ]);
    expect(layers.filter(({ trainedParameters }) => trainedParameters > 0)).toHaveLength(1);
    expect(policy?.trainableParameters).toBe(1194);
  });

  it('keeps averages, moments and parts of a batch of adapters as of any parameter', () => {
    const { manifest, state } = of('lora:2', {
      optimizer: { name: 'adamw' },
      averageDecay: 0.9,
      microBatch: 1,
    });
    expect(manifest.microBatch).toBe(1);
    for (const { a, b } of manifest.adapters)
      for (const name of [a, b]) {
        const entry = manifest.parameters.find((each) => each.name === name);
        expect(entry?.moments).toHaveLength(2);
        for (const other of [...(entry?.moments ?? []), entry?.average ?? '']) expect(state.has(other)).toBe(true);
      }
  });
});

it('refuses a network without such matrices in one line', () => {
  const cnn = readModel(fileURLToPath(new URL('../fixtures/models/tiny_resnet.onnx', import.meta.url)));
  expect(() => compile(cnn, { ...options, policy: 'lora:8' })).toThrow(
    /^policy lora:8 trains beside the matrices of attention and perceptrons, and the model has none before its head; choose a policy such as F1C1/,
  );
});

describe('a network of convolutions and Gemms that stand for matrices', () => {
  const CHANNELS = 4;
  /** A perceptron of 1×1 convolutions, and one of Gemms that count twice and half, behind a convolution. */
  function network(more: (g: Builder, features: Value) => Value = (_, features) => features): ModelFile {
    const g = new Builder(18);
    const random = new Random(5);
    const weight = (name: string, dims: readonly number[]) =>
      g.constant(
        name,
        floatTensor(
          dims,
          Array.from({ length: elementCount(dims) }, () => random.normal() / 3),
        ),
      );
    const image = g.input('image', 'float32', [{ batch: 1 }, 3, 8, 8]);
    const stem = g.relu(g.conv(image, weight('stem', [CHANNELS, 3, 3, 3]), {}, weight('stem.bias', [CHANNELS])));
    const hidden = g.relu(g.conv(stem, weight('conv1', [6, CHANNELS, 1, 1]), {}, weight('conv1.bias', [6])));
    const map = g.add(stem, g.conv(hidden, weight('conv2', [CHANNELS, 6, 1, 1])));
    const features = g.reduceMean(map, [2, 3], false);
    const first = g.relu(
      g.gemm(features, weight('fc1', [5, CHANNELS]), { transB: true, alpha: 2, c: weight('fc1.bias', [5]) }),
    );
    const second = g.gemm(first, weight('fc2', [5, CHANNELS]), { alpha: 0.5 });
    g.output('logits', g.add(g.matmul(more(g, second), weight('head', [CHANNELS, 3])), weight('head.bias', [3])));
    return { path: 'network.onnx', sha256: '', proto: modelOfGraph(g.graph, 'network') };
  }
  const set = { ...options, classes: ['a', 'b', 'c'] };
  const image = Uint8Array.from(draws(2 * 8 * 8 * 3), (value) => value % 256);
  const drawn = ({ manifest }: Compiled): Map<string, Tensor> =>
    new Map(
      manifest.adapters.flatMap(({ a, b }) =>
        [a, b].map((name) => {
          const { shape = [] } = manifest.parameters.find((each) => each.name === name) ?? {};
          return [name, floatTensor(shape, spread(elementCount(shape)))] as const;
        }),
      ),
    );

  it('merges what their adapters give, which the evaluation computes beside them', async () => {
    const model = network();
    const init = drawn(compile(model, { ...set, policy: 'lora:2' }));
    const compiled = compile(model, { ...set, policy: 'lora:2', init });
    expect(compiled.manifest.adapters.map(({ weight }) => weight)).toEqual(['conv1', 'conv2', 'fc1', 'fc2']);
    const parts = await CompiledParts.open(compiled, 1);
    const expected = await parts.logits(image, 2);
    await parts.close();
    const tuned = await open(tunedModel(model.proto, compiled.manifest, compiled.state));
    const planes = Float32Array.from({ length: image.length }, (_, at) => {
      const [index, place] = [Math.floor(at / 192), at % 192];
      return (image[index * 192 + (place % 64) * 3 + Math.floor(place / 64)] ?? NaN) / 255;
    });
    const results = await tuned.run({ image: new ort.Tensor('float32', planes, [2, 3, 8, 8]) });
    const got = floatsOf(results['logits']);
    const untouched = compile(model, { ...set, policy: 'lora:2' });
    const before = await CompiledParts.open(untouched, 1);
    const unlike = await before.logits(image, 2);
    await before.close();
    const farthest = (a: ArrayLike<number>, b: ArrayLike<number>) =>
      Math.max(...Array.from(a, (value, index) => Math.abs(value - (b[index] ?? NaN))));
    expect(farthest(got, expected)).toBeLessThan(1e-5);
    expect(farthest(got, unlike)).toBeGreaterThan(0.05);
  });

  it('adds scale · A · B to a matrix, number by number', () => {
    const model = network();
    const init = drawn(compile(model, { ...set, policy: 'lora:2:3' }));
    const { manifest, state } = compile(model, { ...set, policy: 'lora:2:3', init });
    const tuned = tunedModel(model.proto, manifest, state);
    const valuesOf = (proto: ModelProto, name: string) => {
      const found = proto.graph?.initializer.find((each) => each.name === name);
      if (!found) throw new Error(`no ${name}`);
      return floats(tensorOfProto(found));
    };
    const [a, b] = ['fc1/lora_A', 'fc1/lora_B'].map((name) => spread(init.get(name)?.data.length ?? 0));
    // fc1 is [5, 4], A is [4, 2], B is [2, 5], and the scale is 3 / 2.
    for (let output = 0; output < 5; output++)
      for (let input = 0; input < CHANNELS; input++) {
        const product = [0, 1].reduce((sum, k) => sum + (a?.[input * 2 + k] ?? NaN) * (b?.[k * 5 + output] ?? NaN), 0);
        const before = valuesOf(model.proto, 'fc1')[output * CHANNELS + input] ?? NaN;
        expect(valuesOf(tuned, 'fc1')[output * CHANNELS + input]).toBeCloseTo(before + 1.5 * product, 5);
      }
    // conv2 is [4, 6, 1, 1], A is [2, 6, 1, 1], B is [4, 2, 1, 1].
    const [convA, convB] = ['conv2/lora_A', 'conv2/lora_B'].map((name) => spread(init.get(name)?.data.length ?? 0));
    for (let output = 0; output < CHANNELS; output++)
      for (let input = 0; input < 6; input++) {
        const product = [0, 1].reduce(
          (sum, k) => sum + (convB?.[output * 2 + k] ?? NaN) * (convA?.[k * 6 + input] ?? NaN),
          0,
        );
        const before = valuesOf(model.proto, 'conv2')[output * 6 + input] ?? NaN;
        expect(valuesOf(tuned, 'conv2')[output * 6 + input]).toBeCloseTo(before + 1.5 * product, 5);
      }
  });

  it('refuses a matrix that another node reads in another way', () => {
    const model = network((g, features) => {
      const fc1 = g.graph.nodes.flatMap(({ inputs }) => inputs).find((value) => value?.name === 'fc1');
      if (!fc1) throw new Error('no fc1');
      return g.mul(features, g.reduceSum(fc1, [0], false));
    });
    expect(() => compile(model, { ...set, policy: 'lora:2' })).toThrow(
      /policy lora:2 trains beside "fc1", which node .* \(ReduceSum\) reads too/,
    );
  });
});
