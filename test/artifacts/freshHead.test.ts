import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { writeArtifacts } from '../../src/artifacts/artifactFiles.js';
import { compile } from '../../src/artifacts/compile.js';
import type { CompileOptions } from '../../src/artifacts/compileOptions.js';
import { inspect } from '../../src/artifacts/inspectModel.js';
import { loadArtifacts } from '../../src/artifacts/load.js';
import { tunedModel } from '../../src/artifacts/tunedModel.js';
import { Builder } from '../../src/graph/builder.js';
import { type Value } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel, type ModelFile } from '../../src/onnx/model.js';
import { elementCount, floatTensor } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';
import { Stepper } from '../../src/runtime/stepper.js';
import { storePhotos } from '../storePhotos.js';

const SIDE = 8;
const random = new Random(3);
const weight = (g: Builder, name: string, dims: readonly number[]) =>
  g.constant(
    name,
    floatTensor(
      dims,
      Array.from({ length: elementCount(dims) }, () => random.normal() / 3),
    ),
  );

/** A convolution of six channels, and what `end` makes of its map [N, 6, 4, 4]. */
function modelWith(end: (g: Builder, map: Value) => Value): ModelFile {
  const g = new Builder(18);
  const image = g.input('image', 'float32', [{ batch: 1 }, 3, SIDE, SIDE]);
  const inputs = [image, weight(g, 'conv.weight', [6, 3, 3, 3]), weight(g, 'conv.bias', [6])];
  const attributes = { strides: { kind: 'ints', value: [2, 2] }, pads: { kind: 'ints', value: [1, 1, 1, 1] } } as const;
  const map = g.op('Conv', inputs, attributes, { name: 'conv', outputName: 'map' });
  g.output('result', end(g, g.op('Relu', [map], {}, { name: 'relu', outputName: 'features' })));
  return { path: 'net.onnx', sha256: 'none', proto: modelOfGraph(g.graph, 'net') };
}

const pooled = (g: Builder, map: Value) =>
  g.op('Flatten', [g.op('GlobalAveragePool', [map])], {}, { outputName: 'pooled' });
const projected = (g: Builder, map: Value) =>
  g.op('Gemm', [pooled(g, map), weight(g, 'proj', [6, 5]), weight(g, 'proj.bias', [5])], {}, { name: 'proj' });
const norms = (g: Builder, x: Value) =>
  g.op('BatchNormalization', [
    x,
    ...['scale', 'shift', 'mean'].map((name) => weight(g, name, [5])),
    g.constant('variance', floatTensor([5], [1, 2, 1, 0.5, 1])),
  ]);
const embeddings: Record<string, (g: Builder, map: Value) => Value> = {
  'a feature vector': pooled,
  'features divided by their norm': (g, map) => {
    const x = projected(g, map);
    return g.div(x, g.op('Clip', [g.op('ReduceL2', [x, g.vector([1])]), g.scalar(1e-12)]));
  },
  'features that LpNormalization divides': (g, map) => g.op('LpNormalization', [projected(g, map)]),
  'features times the inverse of their norm': (g, map) => {
    const x = projected(g, map);
    return g.mul(x, g.op('Reciprocal', [g.sqrt(g.reduceSum(g.mul(x, x), [1]))]));
  },
  'a BatchNormalization of features': (g, map) => norms(g, projected(g, map)),
  'a LayerNormalization of features': (g, map) =>
    g.op('LayerNormalization', [projected(g, map), weight(g, 'scale', [5]), weight(g, 'shift', [5])]),
  'the last map': (_, map) => map,
};

const options = (policy: string, head?: string): CompileOptions => ({
  policy,
  classes: ['a', 'b', 'c'],
  batch: 3,
  ...(head === undefined ? {} : { head }),
  preprocessing: ([height, width]) => ({ height, width, resize: 'crop', mean: [0, 0, 0], std: [1, 1, 1] }),
});

const pixels = Uint8Array.from({ length: 3 * SIDE * SIDE * 3 }, (_, index) => (index * 7919) % 251);

async function trained(model: ModelFile, compileOptions: CompileOptions) {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  const manifest = await writeArtifacts(compile(model, compileOptions), folder);
  const stepper = await Stepper.create(loadArtifacts(folder), { slots: 3, threads: 1 });
  const slots = Int32Array.of(0, 1, 2);
  await storePhotos(stepper, folder, { slots, labels: [0, 1, 2], pixels });
  const { losses } = await stepper.steps({
    slots: Int32Array.from({ length: 30 }, (_, index) => index % 3),
    learningRates: new Float32Array(10).fill(1e-2),
    firstStep: 1,
  });
  const { logits } = await stepper.evaluate(slots);
  const state = await stepper.getState();
  await stepper.close();
  return { manifest, losses, logits: logits.slice(), state };
}

async function run(proto: ModelFile['proto']): Promise<ArrayLike<number>> {
  const session = await ort.InferenceSession.create(encodeModel(proto), { intraOpNumThreads: 1 });
  const area = SIDE * SIDE;
  const input = new Float32Array(pixels.length);
  pixels.forEach((value, index) => {
    const image = Math.floor(index / (3 * area));
    input[image * 3 * area + (index % 3) * area + Math.floor((index % (3 * area)) / 3)] = value / 255;
  });
  const results = await session.run({ image: new ort.Tensor('float32', input, [3, 3, SIDE, SIDE]) });
  const [name = ''] = session.outputNames;
  await session.release();
  return results[name]?.data as Float32Array;
}

describe('a model that gives an embedding', () => {
  it.each(Object.entries(embeddings))('is refused with what puts a head on it: %s', (_, end) => {
    expect(() => compile(modelWith(end), options('F1C0'))).toThrow(/head puts a new fully connected layer on it/);
  });

  it.each(Object.entries(embeddings))('is trained and exported with a head on it: %s', async (_, end) => {
    const model = modelWith(end);
    for (const policy of ['F1C0', 'full']) {
      const { manifest, losses, logits, state } = await trained(model, options(policy, ''));
      expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0);
      expect(manifest.parameters.map(({ name }) => name).slice(-2)).toEqual(['head.weight', 'head.bias']);
      const exported = tunedModel(model.proto, manifest, state);
      const got = await run(exported);
      logits.forEach((value, index) => expect(got[index], policy).toBeCloseTo(value, 4));
      // What was exported is a classifier that is trained again, and known by its labels.
      const again = compile({ ...model, proto: exported }, options('F1C0'));
      expect(again.manifest.notes.join()).toMatch(/goes on from what the head knows of a, b, c/);
      expect(again.state.get('head.weight')).toEqual(state.get('head.weight'));
    }
  });
});

describe('a head on a value that is named', () => {
  it.each([
    ['features', 'a map'],
    ['pooled', 'a row'],
    ['relu', 'a node'],
    ['map', 'what an activation reads'],
  ])('takes the place of what is behind "%s", %s', async (name) => {
    const model = modelWith(embeddings['features divided by their norm'] ?? pooled);
    const { manifest, logits, state } = await trained(model, options('F1C1', name));
    const exported = tunedModel(model.proto, manifest, state);
    expect(exported.graph?.initializer.map((each) => each.name)).not.toContain('proj');
    expect(exported.graph?.output.map((each) => each.name)).toEqual(['head/logits']);
    const got = await run(exported);
    logits.forEach((value, index) => expect(got[index]).toBeCloseTo(value, 4));
  });

  it('stands on an output of several by its name, which may be one that ort-tl gives to others', async () => {
    const model = modelWith((g, map) => {
      g.output('places', g.op('Neg', [map]));
      return pooled(g, map);
    });
    for (const output of model.proto.graph?.output ?? []) if (output.name === 'result') output.name = 'logits';
    for (const node of model.proto.graph?.node ?? [])
      node.output = node.output.map((name) => (name === 'result' ? 'logits' : name));
    const { manifest, logits, state } = await trained(model, options('F1C0', 'logits'));
    expect(manifest.source.output).toBe('logits');
    const got = await run(tunedModel(model.proto, manifest, state));
    logits.forEach((value, index) => expect(got[index]).toBeCloseTo(value, 4));
  });

  it('stands on a value within a model of several results, of which none is of classes', async () => {
    const model = modelWith((g, map) => {
      g.output(
        'mask',
        g.op('Sigmoid', [g.op('Resize', [map, undefined, g.constant('twice', floatTensor([4], [1, 1, 2, 2]))])]),
      );
      return g.op('Neg', [map], {}, { outputName: 'boxes' });
    });
    expect(() => compile(model, options('F1C0'))).toThrow(/gives no classes/);
    expect(() => compile(model, options('F1C0', 'feature'))).toThrow(/near it are "features" \[N, 6, 4, 4\], /);
    const { manifest, logits, state } = await trained(model, options('F1C1', 'features'));
    expect(manifest.notes.join()).toMatch(
      /"features" within net.onnx is taken for its result, and of its outputs "mask", "result" are left out/,
    );
    const exported = tunedModel(model.proto, manifest, state);
    expect(exported.graph?.output.map((each) => each.name)).toEqual(['head/logits']);
    const got = await run(exported);
    logits.forEach((value, index) => expect(got[index]).toBeCloseTo(value, 4));
  });

  it('may have hidden layers before it', async () => {
    const model = modelWith(pooled);
    const { manifest, logits, state } = await trained(model, { ...options('F1C0', ''), hidden: [4] });
    const got = await run(tunedModel(model.proto, manifest, state));
    logits.forEach((value, index) => expect(got[index]).toBeCloseTo(value, 4));
  });

  it('is refused where there is none, with those near it', () => {
    expect(() =>
      compile(
        modelWith((g, map) => norms(g, projected(g, map))),
        options('F1C0', 'poold'),
      ),
    ).toThrow(/no value called "poold"; near it are "pooled" \[N, 6\], /);
  });

  it('is refused with names of features alone: not of shapes, of what is made of a shape, nor of the image', () => {
    const model = modelWith((g, map) => {
      const shape = g.op('Shape', [map], {}, { outputName: 'nosuch_shape' });
      const count = g.op('Gather', [shape, g.vector([0])], {}, { outputName: 'nosuch_count' });
      const token = g.op(
        'Expand',
        [weight(g, 'token', [1, 6]), g.op('Concat', [count, g.vector([6])])],
        {},
        {
          outputName: 'nosuch_token',
        },
      );
      return g.op('Add', [pooled(g, map), token], {}, { outputName: 'nosuch_features' });
    });
    expect(() => compile(model, options('F1C0', 'nosuch'))).toThrow(
      /^the model has no value called "nosuch"; near it are "result" \[N, 6\], "pooled" \[N, 6\], .* \(head\)$/,
    );
  });

  it('is refused on what is no features', () => {
    const model = modelWith((g, map) => g.op('Unsqueeze', [g.unsqueeze(map, [1]), g.vector([1])]));
    expect(() => compile(model, options('F1C0', ''))).toThrow(/a head takes float32 features/);
  });

  it('is told by inspect', () => {
    const report = inspect(modelWith(pooled), { batch: 2, head: '', policy: 'F1C0' });
    expect(report.layers.at(-1)).toMatchObject({ policyName: 'F1', name: 'head', parameters: 14 });
  });
});
