import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { compile } from '../../src/artifacts/compile.js';
import { stateAfter } from '../stateAfter.js';
import { classifierOf } from '../../src/artifacts/prepare.js';
import { tunedModel } from '../../src/artifacts/tunedModel.js';
import { type ModelFile, readModel } from '../../src/onnx/model.js';
import { floatTensor, type Tensor } from '../../src/onnx/tensor.js';
import { findBlocks } from '../../src/policy/blocks.js';
import { CLASSES, floatsOf, IMAGES, logitsOf, open, pixels, SIDE, spread } from './transformerImages.js';

/** Made by `test/zoo/make_transformer_fixtures.py`, as are the logits and gradients of PyTorch. */
const folder = fileURLToPath(new URL('../fixtures/transformers/', import.meta.url));
const numbers = z.array(z.number());
const steps = z
  .record(z.string(), z.object({ logits: numbers, gradients: z.record(z.string(), numbers) }))
  .parse(JSON.parse(readFileSync(`${folder}steps.json`, 'utf8')));

/** The parameters of the model's own head, so that training begins with what PyTorch has. */
function ownHead(model: ModelFile): Map<string, Tensor> {
  const { parameters } = classifierOf(model).layers.fcs.at(-1) ?? { parameters: [] };
  return new Map(parameters.flatMap(({ name, constant }) => (constant ? [[name, constant] as const] : [])));
}

/** One step of gradient descent at a learning rate of one: the logits before it, what each parameter moved by, and the model before it. */
async function step(name: string, policy: string) {
  const model = readModel(`${folder}${name}.onnx`);
  const init = ownHead(model);
  const { manifest, ...compiled } = compile(model, {
    policy,
    init,
    classes: Array.from({ length: CLASSES }, (_, index) => `class ${index}`),
    batch: IMAGES,
    optimizer: { name: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 },
    preprocessing: 'unit',
    warmStart: false,
  });
  const image = { pixels: new ort.Tensor('uint8', pixels, [IMAGES, SIDE, SIDE, 3]) };
  const boundary: Record<string, ort.Tensor> = compiled.frozen ? await (await open(compiled.frozen)).run(image) : {};
  const training = await open(compiled.training);
  const state = Object.fromEntries(
    [...compiled.state].map(([key, { data, dims }]) => [key, new ort.Tensor('float32', data as Float32Array, dims)]),
  );
  const given = { ...Object.fromEntries(manifest.boundary.map((each) => [each.name, image.pixels])), ...boundary };
  const results = await training.run({
    ...given,
    ...state,
    labels: new ort.Tensor('int64', BigInt64Array.from([1n, 2n]), [IMAGES]),
    image_weights: new ort.Tensor('float32', new Float32Array(IMAGES).fill(1 / IMAGES), [IMAGES]),
    ...(training.inputNames.includes('step') ? { step: new ort.Tensor('float32', [1], []) } : {}),
  });
  const later = stateAfter(manifest, compiled.state, results, { learningRate: 1, step: 1 });
  const moved = new Map(
    manifest.parameters.map(({ name: key }) => {
      const before = floatsOf(state[key]);
      const after = later.get(key)?.data as Float32Array;
      return [key, before.map((value, index) => value - (after[index] ?? NaN))] as const;
    }),
  );
  const parameters = new Map(
    manifest.parameters.map(({ name: key, shape }) => [key, floatTensor(shape, floatsOf(state[key]))] as const),
  );
  return { logits: [...floatsOf(results['logits'])], moved, tuned: tunedModel(model.proto, manifest, parameters) };
}

const expectClose = (got: readonly number[], expected: readonly number[], within: number) => {
  expect(got).toHaveLength(expected.length);
  expected.forEach((value, index) => {
    expect(Math.abs((got[index] ?? NaN) - value)).toBeLessThan(within);
  });
};

describe.each(Object.entries(steps))('%s', (name, { logits, gradients }) => {
  it.each(['F1C0', 'F1C1', 'blocks:1', 'bias', 'full'])('takes the step of PyTorch with %s', async (policy) => {
    const taken = await step(name, policy);
    expectClose(taken.logits, logits, 1e-5);
    for (const [key, gradient] of taken.moved) {
      const [norm = NaN, along = NaN] = gradients[key] ?? [];
      const direction = spread(gradient.length);
      const got = gradient.reduce((sum, value, index) => sum + value * (direction[index] ?? NaN), 0);
      // A parameter of size one holds a difference to 1e-7.
      const slack = 1e-4 * norm + 3e-6;
      expect(Math.abs(Math.hypot(...gradient) - norm), key).toBeLessThan(slack);
      expect(Math.abs(got - along), key).toBeLessThan(slack);
    }
    expectClose(await logitsOf(taken.tuned), logits, 1e-5);
  });

  it('has two blocks, each with its attention and its perceptron', () => {
    const { graph, layers } = classifierOf(readModel(`${folder}${name}.onnx`));
    const blocks = findBlocks(graph, layers);
    expect(blocks).toHaveLength(name.startsWith('swin') ? 4 : 2);
    expect(new Set(blocks.map((block) => block.layers.length)).size).toBe(1);
  });
});
