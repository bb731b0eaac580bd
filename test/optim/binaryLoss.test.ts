import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { differentiate } from '../../src/autodiff/gradient.js';
import { Builder } from '../../src/graph/builder.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel } from '../../src/onnx/model.js';
import { type BinaryObjective, binaryCrossEntropy, meanBinaryCrossEntropy } from '../../src/optim/binaryLoss.js';
import * as ort from '../../src/runtime/ort.js';

/** Made by test/fixtures/labels/make_labels.py. */
const fixture = z
  .object({
    shape: z.tuple([z.number(), z.number()]),
    logits: z.array(z.number()),
    losses: z.array(
      z.object({
        name: z.string(),
        objective: z.custom<BinaryObjective>(),
        targets: z.array(z.number()),
        loss: z.number(),
        gradient: z.array(z.number()),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL('../fixtures/labels/labels.json', import.meta.url), 'utf8')));
const [photos, labels] = fixture.shape;

/** The loss, and its gradient by the logits, in a session; each image counts 1/photos. */
async function run(logits: readonly number[], targets: readonly number[], objective: BinaryObjective) {
  const g = new Builder(18);
  const x = g.input('logits', 'float32', [photos, labels]);
  const y = g.input('targets', 'float32', [photos, labels]);
  const loss = binaryCrossEntropy(g, x, y, g.input('shares', 'float32', [photos]), objective);
  const gradient = differentiate(g, [...g.graph.nodes], loss, [x]).get(x);
  if (!gradient) throw new Error('no gradient');
  g.output('loss', loss);
  g.output('gradient', gradient);
  const session = await ort.openSession(encodeModel(modelOfGraph(g.graph, 'loss')), {});
  const tensor = (values: readonly number[], dims: number[]) =>
    new ort.Tensor('float32', Float32Array.from(values), dims);
  const results = await session.run({
    logits: tensor(logits, [photos, labels]),
    targets: tensor(targets, [photos, labels]),
    shares: tensor(new Array<number>(photos).fill(1 / photos), [photos]),
  });
  await session.release();
  return {
    loss: (results['loss']?.data as Float32Array)[0] ?? NaN,
    gradient: [...(results['gradient']?.data as Float32Array)],
  };
}

describe('binaryCrossEntropy', () => {
  it.each(fixture.losses.map((each) => [each.name, each] as const))(
    'gives what PyTorch gives, and its gradient, also where probabilities are 0 or 1: %s',
    async (_, { objective, targets, loss, gradient }) => {
      const got = await run(fixture.logits, targets, objective);
      expect(Math.abs(got.loss / loss - 1)).toBeLessThan(1e-5);
      got.gradient.forEach((slope, at) => {
        expect(Math.abs(slope - (gradient[at] ?? NaN)), `logit ${at}`).toBeLessThan(1e-7);
      });
    },
  );

  it('counts nothing of an image that only fills up a batch', async () => {
    const g = new Builder(18);
    const [x, y, shares] = [
      g.input('x', 'float32', [2, 1]),
      g.input('y', 'float32', [2, 1]),
      g.input('shares', 'float32', [2]),
    ];
    g.output('loss', binaryCrossEntropy(g, x, y, shares, {}));
    const session = await ort.openSession(encodeModel(modelOfGraph(g.graph, 'loss')), {});
    const tensor = (a: number, b: number, dims: number[]) => new ort.Tensor('float32', Float32Array.of(a, b), dims);
    const results = await session.run({
      x: tensor(0, 50, [2, 1]),
      y: tensor(1, 0, [2, 1]),
      shares: tensor(1, 0, [2]),
    });
    await session.release();
    expect((results['loss']?.data as Float32Array)[0]).toBeCloseTo(Math.LN2, 6);
  });
});

it('takes the mean of logits in double precision as PyTorch does', () => {
  for (const { name, objective, targets, loss } of fixture.losses)
    if (Object.keys(objective).length === 0)
      expect(
        meanBinaryCrossEntropy(Float32Array.from(fixture.logits), Float32Array.from(targets)) / loss,
        name,
      ).toBeCloseTo(1, 6);
});
