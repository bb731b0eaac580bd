import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel } from '../../src/onnx/model.js';
import { floatTensor } from '../../src/onnx/tensor.js';
import {
  type Optimizer,
  optimizerCalled,
  optimizerNames,
  updateRuleOf,
  usualLearningRate,
} from '../../src/optim/optimizer.js';
import { type Trained, updateAll } from '../../src/optim/update.js';
import * as ort from '../../src/runtime/ort.js';

type Vector = readonly number[];
/** A parameter and its moments. */
interface State {
  readonly parameter: Vector;
  readonly moments: readonly Vector[];
}
/** What PyTorch's documentation, or the paper, says a step does to one element-wise state. */
type Reference = (state: State, gradient: Vector, rate: number, step: number) => State;

const BEGIN: Vector = [0.5, -1.25, 2];
const GRADIENTS: readonly Vector[] = [
  [0.1, -0.4, 0.3],
  [-0.2, 0.6, 0.05],
  [0.7, 0.1, -0.9],
];
const RATE = 0.03;

const map = (vector: Vector, by: (value: number, index: number) => number): Vector => vector.map(by);
const norm = (vector: Vector) => Math.hypot(...vector);
const at = (vectors: readonly Vector[], moment: number, index: number) => vectors[moment]?.[index] ?? 0;

/** m̂/(√v̂ + ε) of Adam, and the moments behind it. */
function adamStep(
  { moments }: State,
  gradient: Vector,
  step: number,
  [beta1, beta2, epsilon]: [number, number, number],
) {
  const first = map(gradient, (g, i) => beta1 * at(moments, 0, i) + (1 - beta1) * g);
  const second = map(gradient, (g, i) => beta2 * at(moments, 1, i) + (1 - beta2) * g * g);
  const direction = map(first, (m, i) => {
    const v = second[i] ?? 0;
    return m / (1 - beta1 ** step) / (Math.sqrt(v / (1 - beta2 ** step)) + epsilon);
  });
  return { direction, moments: [first, second] };
}

const sgd =
  (momentum: number, decay: number, nesterov = false): Reference =>
  ({ parameter, moments }, gradient, rate) => {
    const slope = map(gradient, (g, i) => g + decay * (parameter[i] ?? 0));
    const velocity = map(slope, (g, i) => momentum * at(moments, 0, i) + g);
    const direction = nesterov ? map(slope, (g, i) => g + momentum * (velocity[i] ?? 0)) : velocity;
    return { parameter: map(parameter, (p, i) => p - rate * (direction[i] ?? 0)), moments: [velocity] };
  };

const adam: Reference = (state, gradient, rate, step) => {
  const { direction, moments } = adamStep(state, gradient, step, [0.9, 0.999, 1e-8]);
  return { parameter: map(state.parameter, (p, i) => p - rate * (direction[i] ?? 0)), moments };
};

const adamw: Reference = (state, gradient, rate, step) => {
  const { parameter, moments } = adam(state, gradient, rate, step);
  return { parameter: map(parameter, (p, i) => p - rate * 0.01 * (state.parameter[i] ?? 0)), moments };
};

const lamb: Reference = (state, gradient, rate, step) => {
  const { direction, moments } = adamStep(state, gradient, step, [0.9, 0.999, 1e-6]);
  const update = map(direction, (u, i) => u + 0.01 * (state.parameter[i] ?? 0));
  const trust = norm(state.parameter) / norm(update);
  return { parameter: map(state.parameter, (p, i) => p - rate * trust * (update[i] ?? 0)), moments };
};

const lars: Reference = (state, gradient, rate, step) => {
  const [length, slope] = [norm(state.parameter), norm(gradient)];
  const scale = (1e-3 * length) / (slope + 1e-4 * length);
  const decayed = map(gradient, (g, i) => scale * (g + 1e-4 * (state.parameter[i] ?? 0)));
  return sgd(0.9, 0)(state, decayed, rate, step);
};

const rmsprop: Reference = ({ parameter, moments }, gradient, rate) => {
  const squares = map(gradient, (g, i) => 0.99 * at(moments, 0, i) + 0.01 * g * g);
  const next = map(parameter, (p, i) => p - (rate * (gradient[i] ?? 0)) / (Math.sqrt(squares[i] ?? 0) + 1e-8));
  return { parameter: next, moments: [squares] };
};

const REFERENCES: Readonly<Record<Optimizer['name'], Reference>> = {
  ...{ adam, adamw, lamb, lars, rmsprop },
  sgd: sgd(0.9, 1e-4),
};

interface Options {
  readonly begin?: Vector;
  readonly rate?: number;
  readonly clipNorm?: number;
  readonly averageDecay?: number;
  readonly multiplier?: number;
  readonly decays?: boolean;
}

/** Parameters after each of the steps, as the compiled graph takes them; with averages behind each where they are kept. */
async function compiledSteps(optimizer: Optimizer, options: Options = {}): Promise<number[][]> {
  const { begin = BEGIN, rate = RATE, clipNorm = 0, averageDecay = 0, multiplier = 1, decays = true } = options;
  const g = new Builder(18);
  const input = (name: string) => g.input(name, 'float32', [BEGIN.length]);
  const scalar = (name: string) => g.input(name, 'float32', []);
  const rule = updateRuleOf(optimizer);
  const moments = rule.moments.map(input);
  const trained: Trained = {
    parameter: input('parameter'),
    gradient: input('gradient'),
    moments,
    average: averageDecay > 0 ? input('average') : undefined,
    learningRateMultiplier: multiplier,
    decays,
  };
  const scalars = { learningRate: scalar('learningRate'), step: scalar('step') };
  const [next] = updateAll(g, [trained], { rule, ...scalars, clipNorm, averageDecay });
  if (!next) throw new Error('nothing is updated');
  g.output('parameter_next', next.parameter);
  for (const [index, name] of rule.moments.entries()) {
    const moment = next.moments[index];
    if (moment) g.output(`${name}_next`, moment);
  }
  if (next.average) g.output('average_next', next.average);

  const session = await ort.openSession(encodeModel(modelOfGraph(g.graph, 'update')), {});
  const vector = (values: Vector) => new ort.Tensor('float32', Float32Array.from(values), [values.length]);
  const number = (value: number) => new ort.Tensor('float32', Float32Array.of(value), []);
  const state: Record<string, Vector> = { parameter: begin, ...(next.average ? { average: begin } : {}) };
  for (const name of rule.moments) state[name] = BEGIN.map(() => 0);
  const taken: number[][] = [];
  for (const [index, gradient] of GRADIENTS.entries()) {
    const feeds = Object.fromEntries(Object.entries(state).map(([name, values]) => [name, vector(values)]));
    const results = await session.run({
      ...feeds,
      ...{ gradient: vector(gradient), learningRate: number(rate), step: number(index + 1) },
    });
    for (const name of Object.keys(state)) state[name] = Array.from(results[`${name}_next`]?.data as Float32Array);
    taken.push([...(state['parameter'] ?? []), ...(state['average'] ?? [])]);
  }
  await session.release();
  return taken;
}

/** The same by the formulas, in double precision. */
function steps(reference: Reference, { rate = RATE, gradients = GRADIENTS } = {}): Vector[] {
  let state: State = { parameter: BEGIN, moments: [] };
  return gradients.map((gradient, index) => {
    state = reference(state, gradient, rate, index + 1);
    return state.parameter;
  });
}

function expectClose(got: readonly Vector[], wanted: readonly Vector[]): void {
  expect(got).toHaveLength(wanted.length);
  for (const [step, values] of wanted.entries())
    for (const [index, value] of values.entries()) expect(got[step]?.[index], `step ${step + 1}`).toBeCloseTo(value, 5);
}

describe('a step', () => {
  it.each(optimizerNames)('of %s is what its paper, or PyTorch, says', async (name) => {
    expectClose(await compiledSteps(optimizerCalled(name)), steps(REFERENCES[name]));
  });

  it("takes Nesterov's momentum, momentum in rmsprop, and no momentum at all", async () => {
    const nesterov = optimizerCalled('sgd', { nesterov: true, weightDecay: 0.1 });
    expectClose(await compiledSteps(nesterov), steps(sgd(0.9, 0.1, true)));
    expectClose(await compiledSteps(optimizerCalled('sgd', { momentum: 0, weightDecay: 0 })), steps(sgd(0, 0)));
    const withMomentum: Reference = ({ parameter, moments }, gradient) => {
      const squares = map(gradient, (g, i) => 0.99 * at(moments, 0, i) + 0.01 * g * g);
      const velocity = map(gradient, (g, i) => 0.8 * at(moments, 1, i) + g / (Math.sqrt(squares[i] ?? 0) + 1e-8));
      return { parameter: map(parameter, (p, i) => p - RATE * (velocity[i] ?? 0)), moments: [squares, velocity] };
    };
    expectClose(await compiledSteps(optimizerCalled('rmsprop', { momentum: 0.8 })), steps(withMomentum));
  });

  it('adds weight decay to the gradient, but in adamw and lamb, and not where a parameter does not decay', async () => {
    const decayed: Reference = (state, gradient, rate, step) =>
      adam(
        state,
        map(gradient, (g, i) => g + 0.2 * (state.parameter[i] ?? 0)),
        rate,
        step,
      );
    expectClose(await compiledSteps(optimizerCalled('adam', { weightDecay: 0.2 })), steps(decayed));
    for (const name of ['adam', 'adamw'] as const)
      expectClose(await compiledSteps(optimizerCalled(name, { weightDecay: 0.2 }), { decays: false }), steps(adam));
    const plainLamb: Reference = (state, gradient, rate, step) => {
      const { direction, moments } = adamStep(state, gradient, step, [0.9, 0.999, 1e-6]);
      return { parameter: map(state.parameter, (p, i) => p - rate * (direction[i] ?? 0)), moments };
    };
    expectClose(await compiledSteps(optimizerCalled('lamb'), { decays: false }), steps(plainLamb));
    expectClose(await compiledSteps(optimizerCalled('lars'), { decays: false }), steps(sgd(0.9, 0)));
  });

  it('of lars and lamb goes by the learning rate alone where a parameter has no length', async () => {
    const begin = BEGIN.map(() => 0);
    const [lars] = await compiledSteps(optimizerCalled('lars'), { begin });
    const [lamb] = await compiledSteps(optimizerCalled('lamb'), { begin });
    const [gradient = []] = GRADIENTS;
    // Adam's first step is the same for every gradient: m̂ = g, √v̂ = |g|.
    expectClose(
      [lars ?? [], lamb ?? []],
      [map(gradient, (g) => -RATE * g), map(gradient, (g) => -RATE * Math.sign(g))],
    );
  });

  it('goes by the learning rate of its parameter', async () => {
    const got = await compiledSteps(optimizerCalled('adamw'), { multiplier: 10 });
    expectClose(got, steps(adamw, { rate: 10 * RATE }));
  });

  it.each(optimizerNames)('of %s goes down at its usual learning rate, a small part of the way', async (name) => {
    const [first = []] = await compiledSteps(optimizerCalled(name), { rate: usualLearningRate(name) });
    const moved = map(first, (value, index) => value - (BEGIN[index] ?? 0));
    const slope = map(moved, (value, index) => value * (GRADIENTS[0]?.[index] ?? 0));
    expect(slope.reduce((sum, each) => sum + each, 0)).toBeLessThan(0);
    expect(norm(moved)).toBeLessThan(0.05 * norm(BEGIN));
  });

  it('shortens gradients that are longer than the norm, and no others', async () => {
    const clipped = GRADIENTS.map((gradient) => {
      const factor = Math.min(1, 0.6 / (norm(gradient) + 1e-6));
      return map(gradient, (g) => g * factor);
    });
    expect(GRADIENTS.map((gradient) => norm(gradient) > 0.6)).toEqual([false, true, true]);
    const plain = optimizerCalled('sgd', { momentum: 0, weightDecay: 0 });
    expectClose(await compiledSteps(plain, { clipNorm: 0.6 }), steps(sgd(0, 0), { gradients: clipped }));
  });

  it('takes the norm of all gradients together', async () => {
    const g = new Builder(18);
    const vector = (...numbers: number[]) => g.constant('numbers', floatTensor([numbers.length], numbers));
    const trained = [vector(3), vector(0, 4)].map((gradient): Trained => {
      const parameter = g.sub(gradient, gradient);
      return { parameter, gradient, moments: [], average: undefined, learningRateMultiplier: 1, decays: false };
    });
    const rule = updateRuleOf(optimizerCalled('sgd', { momentum: 0 }));
    const scalars = { learningRate: g.scalar(1), step: g.scalar(1) };
    const next = updateAll(g, trained, { rule, ...scalars, clipNorm: 1, averageDecay: 0 });
    next.forEach(({ parameter }, index) => g.output(`y${index}`, parameter));
    const session = await ort.openSession(encodeModel(modelOfGraph(g.graph, 'update')), {});
    const results = await session.run({});
    await session.release();
    // √(3² + 4²) = 5
    expectClose(
      ['y0', 'y1'].map((name) => [...(results[name]?.data as Float32Array)]),
      [[-3 / 5], [0, -4 / 5]],
    );
  });

  it('moves averages by what is new, the faster the earlier', async () => {
    const plain = optimizerCalled('sgd', { momentum: 0, weightDecay: 0 });
    let average = BEGIN;
    const wanted = steps(sgd(0, 0)).map((parameter, index) => {
      // 2/11, 3/12 and 4/13 of the old value stay, for all are less than 0.9.
      const stays = (index + 2) / (index + 11);
      average = map(average, (old, i) => stays * old + (1 - stays) * (parameter[i] ?? 0));
      return [...parameter, ...average];
    });
    expectClose(await compiledSteps(plain, { averageDecay: 0.9 }), wanted);
    const least = await compiledSteps(plain, { averageDecay: 0.1 });
    expect(least[0]?.[3]).toBeCloseTo(0.1 * 0.5 + 0.9 * (0.5 - RATE * 0.1), 6);
  });
});

describe('the graph of a step', () => {
  /** Of parameters of these shapes; the second is the block size of a graph for the CPU provider alone. */
  function graphOf(optimizer: Optimizer, shapes: readonly (readonly number[])[], blockSize?: number) {
    const g = new Builder(18, blockSize);
    const rule = updateRuleOf(optimizer);
    const trained = shapes.map((shape, index): Trained => {
      const input = (name: string) => g.input(`${name}${index}`, 'float32', shape);
      return {
        parameter: input('parameter'),
        gradient: input('gradient'),
        moments: rule.moments.map(input),
        average: input('average'),
        learningRateMultiplier: 1,
        decays: true,
      };
    });
    const scalars = { learningRate: g.input('rate', 'float32', []), step: g.input('step', 'float32', []) };
    const next = updateAll(g, trained, { rule, ...scalars, clipNorm: 0, averageDecay: 0.9 });
    return { nodes: g.graph.nodes, next };
  }
  const momentum = optimizerCalled('sgd');
  const shapesOf = ({ next }: ReturnType<typeof graphOf>) =>
    next.map(({ parameter, moments, average }) => [parameter, ...moments, average].map((value) => value?.shape));

  it('works on vectors, and gives every result the shape of its parameter', () => {
    const graph = graphOf(momentum, [[2, 3], [4]]);
    const ranks = graph.nodes.filter(({ op }) => op !== 'Reshape').map((node) => node.output().shape?.length);
    expect(Math.max(...ranks.map((rank) => rank ?? NaN))).toBe(1);
    expect(shapesOf(graph)).toEqual([
      [
        [2, 3],
        [2, 3],
        [2, 3],
      ],
      [[4], [4], [4]],
    ]);
  });

  it('has vectors as results where it is for the CPU provider alone, and never reshapes a vector', () => {
    expect(shapesOf(graphOf(momentum, [[2, 3]], 8))).toEqual([[[6], [6], [6]]]);
    expect(graphOf(momentum, [[4]], 8).nodes.map(({ op }) => op)).not.toContain('Reshape');
  });

  it("computes once what all parameters of a learning rate share, such as Adam's two powers of beta", () => {
    const ops = graphOf(optimizerCalled('adam'), [[4], [4], [4]]).nodes.map(({ op }) => op);
    expect(ops.filter((op) => op === 'Pow')).toHaveLength(2);
  });

  it('has no operator for momentum and decay that are not there', () => {
    const plain = optimizerCalled('sgd', { momentum: 0, weightDecay: 0 });
    const average = ['Add', 'Add', 'Div', 'Min', 'Sub', 'Sub', 'Mul', 'Add'];
    const ops = graphOf(plain, [[4]]).nodes.map(({ op }) => op);
    expect(ops.filter((op) => op !== 'Reshape').sort()).toEqual(['Mul', 'Sub', ...average].sort());
  });

  it.each(['lars', 'rmsprop', 'sgd'] as const)('of %s keeps no tensor for a momentum of 0', (name) => {
    const kept = (momentum: number) => updateRuleOf(optimizerCalled(name, { momentum })).moments.length;
    expect(kept(0.9) - kept(0)).toBe(1);
  });

  // λ·p is a product and added to the gradient or the update; adamw shrinks p by one product.
  it.each(optimizerNames)('of %s has no operator on vectors for a decay of 0', (name) => {
    const count = (weightDecay: number) =>
      graphOf(optimizerCalled(name, { weightDecay }), [[4]]).nodes.filter((node) => node.output().shape?.length === 1)
        .length;
    expect(count(0.1) - count(0)).toBe(name === 'adamw' ? 1 : 2);
  });
});
