import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel } from '../../src/onnx/model.js';
import { Kernels, newKernelMemory, VECTOR } from '../../src/optim/kernels/kernels.js';
import { type Optimizer, optimizerCalled, optimizerNames, updateRuleOf } from '../../src/optim/optimizer.js';
import { clipFactor, squaresOf, type Trained, updateAll } from '../../src/optim/update.js';
import { updateNodes, updateNumbers } from '../../src/optim/updateNodes.js';
import { Random } from '../../src/random.js';
import * as ort from '../../src/runtime/ort.js';

const STEPS = 24;
/** A matrix that decays, and a vector that does not and learns faster. */
const PARAMETERS = [
  { shape: [5, 7], decays: true, learningRateMultiplier: 1 },
  { shape: [9], decays: false, learningRateMultiplier: 3 },
];
const lengthOf = (shape: readonly number[]) => shape.reduce((product, dim) => product * dim, 1);

interface Options {
  readonly clipNorm: number;
  readonly averageDecay: number;
  /** What gradients are multiplied by. */
  readonly scale: number;
}

/** A warm-up, and then a fall. */
const rateAt = (step: number) => 0.02 * (step < 5 ? step / 5 : 1 - step / 50);

/** Numbers from −1 to 1 for each parameter, 8 times as small in every other step, so that clipping takes hold of some. */
function gradientsAt(step: number, scale: number): Float32Array[] {
  const random = new Random(step);
  const size = (step % 2 === 0 ? 1 : 1 / 8) / scale;
  return PARAMETERS.map(({ shape }) =>
    Float32Array.from({ length: lengthOf(shape) }, () => size * (2 * random.next() - 1)),
  );
}

const beginnings = () => gradientsAt(0, 1);

/** What becomes of all parameters, moments and averages by the kernels. */
function byKernels(optimizer: Optimizer, { clipNorm, averageDecay, scale }: Options): Float32Array[] {
  const rule = updateRuleOf(optimizer);
  const arraysOfOne = 3 + rule.moments.length;
  const room = PARAMETERS.map(({ shape }) => VECTOR * Math.ceil(lengthOf(shape) / VECTOR));
  const memory = newKernelMemory(
    room.reduce((sum, each) => sum + arraysOfOne * each, 0),
    false,
  );
  let place = 0;
  const take = (index: number) => {
    const array = new Float32Array(memory.buffer, 4 * place, lengthOf(PARAMETERS[index]?.shape ?? []));
    place += room[index] ?? 0;
    return array;
  };
  const trained = PARAMETERS.map((each, index): Trained => {
    const [parameter, gradient, average] = [take(index), take(index), take(index)];
    parameter.set(beginnings()[index] ?? []);
    average.set(parameter);
    return { ...each, parameter, gradient, moments: rule.moments.map(() => take(index)), average };
  });
  const kernels = new Kernels(memory);
  for (let step = 1; step <= STEPS; step++) {
    gradientsAt(step, scale).forEach((values, index) => trained[index]?.gradient.set(values));
    const squares = squaresOf(trained).reduce((sum, each) => sum + each, 0);
    const factor = clipFactor(squares * scale * scale, clipNorm);
    updateAll(kernels, trained, { rule, learningRate: rateAt(step), step, scale: scale * factor, averageDecay });
  }
  return trained.flatMap(({ parameter, moments, average = parameter }) => [parameter, ...moments, average]);
}

/** The same by the nodes. */
async function byNodes(optimizer: Optimizer, { clipNorm, averageDecay, scale }: Options): Promise<Float32Array[]> {
  const rule = updateRuleOf(optimizer);
  const g = new Builder(17);
  const numbersAt = (step: number) =>
    updateNumbers(PARAMETERS, { rule, averageDecay }, { learningRate: rateAt(step), step });
  const numbers = g.input('numbers', 'float32', [numbersAt(1).length]);
  const trained = PARAMETERS.map((each, index) => {
    const input = (name: string) => g.input(`${name}${index}`, 'float32', each.shape);
    const moments = rule.moments.map(input);
    return { ...each, parameter: input('parameter'), gradient: input('gradient'), moments, average: input('average') };
  });
  const next = updateNodes(g, trained, { rule, numbers, scale: scale === 1 ? undefined : g.scalar(scale), clipNorm });
  const state = trained.flatMap(({ parameter, moments, average }, index) => {
    const after = next[index];
    if (!after?.average) throw new Error('unreachable');
    return [
      { before: parameter, after: after.parameter },
      ...moments.map((before, m) => ({ before, after: after.moments[m] ?? before })),
      { before: average, after: after.average },
    ];
  });
  for (const { before, after } of state) g.output(`next ${before.name}`, after);
  const session = await ort.openSession(encodeModel(modelOfGraph(g.graph, 'update')), {});
  const floats = (values: Iterable<number>, shape: readonly number[]) =>
    new ort.Tensor('float32', Float32Array.from(values), shape);
  const values = new Map<string, ort.Tensor>(
    state.map(({ before: { name, shape = [] } }) => {
      const dims = shape.filter((dim) => typeof dim === 'number');
      const index = Number(name.at(-1));
      const zeros = Array.from({ length: lengthOf(dims) }, () => 0);
      return [name, floats(/parameter|average/.test(name) ? (beginnings()[index] ?? []) : zeros, dims)];
    }),
  );
  for (let step = 1; step <= STEPS; step++) {
    const now = numbersAt(step);
    const gradients = gradientsAt(step, scale).map(
      (each, index) => [`gradient${index}`, floats(each, PARAMETERS[index]?.shape ?? [])] as const,
    );
    const results = await session.run({
      numbers: floats(now, [now.length]),
      ...Object.fromEntries(gradients),
      ...Object.fromEntries(values),
    });
    for (const name of values.keys()) values.set(name, results[`next ${name}`] ?? floats([], [0]));
  }
  await session.release();
  return [...values.values()].map(({ data }) => data as Float32Array);
}

/** The length of the difference, as a share of the first's. */
function distance(a: Float32Array, b: Float32Array): number {
  expect(b).toHaveLength(a.length);
  return Math.hypot(...a.map((value, at) => value - (b[at] ?? NaN))) / Math.hypot(...a);
}

const SETTINGS: readonly (readonly [string, Optimizer])[] = [
  ...optimizerNames.map((name) => [name, optimizerCalled(name)] as const),
  ...optimizerNames.map((name) => [`${name} with much decay`, optimizerCalled(name, { weightDecay: 0.2 })] as const),
  ['sgd without momentum', optimizerCalled('sgd', { momentum: 0 })],
  ["sgd with Nesterov's momentum", optimizerCalled('sgd', { nesterov: true })],
  ["lars with Nesterov's momentum", optimizerCalled('lars', { nesterov: true })],
  ['rmsprop with momentum', optimizerCalled('rmsprop', { momentum: 0.8 })],
];

describe('the update as nodes of a graph', () => {
  it.each(SETTINGS)('is that of the kernels, step after step: %s', async (_, optimizer) => {
    for (const options of [
      { clipNorm: 0, averageDecay: 0.9, scale: 1 },
      { clipNorm: 1, averageDecay: 0.99, scale: 1 },
      { clipNorm: 1, averageDecay: 0.9, scale: 1 / 65536 },
      { clipNorm: 0, averageDecay: 0.9, scale: 1 / 65536 },
    ]) {
      const expected = byKernels(optimizer, options);
      const got = await byNodes(optimizer, options);
      expect(got).toHaveLength(expected.length);
      for (const [index, values] of expected.entries())
        expect(distance(values, got[index] ?? new Float32Array()), `value ${index}`).toBeLessThan(1e-6);
    }
  });
});
