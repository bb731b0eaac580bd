import { describe, expect, it } from 'vitest';
import { Kernels, newKernelMemory, VECTOR } from '../../src/optim/kernels/kernels.js';
import {
  type Optimizer,
  optimizerCalled,
  optimizerNames,
  updateRuleOf,
  usualLearningRate,
} from '../../src/optim/optimizer.js';
import { clipFactor, squaresOf, type Trained, updateAll } from '../../src/optim/update.js';

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

/** Arrays of zeros of these lengths in a memory of kernels. */
function arraysOf(...lengths: number[]) {
  const room = (length: number) => VECTOR * Math.ceil(length / VECTOR);
  const memory = newKernelMemory(
    lengths.reduce((sum, length) => sum + room(length), 0),
    false,
  );
  let place = 0;
  const arrays = lengths.map((length) => {
    const array = new Float32Array(memory.buffer, 4 * place, length);
    place += room(length);
    return array;
  });
  return { kernels: new Kernels(memory), arrays };
}

/** Parameters after each of the steps, as a training takes them; with averages behind each where they are kept. */
function takenSteps(optimizer: Optimizer, options: Options = {}): number[][] {
  const { begin = BEGIN, rate = RATE, clipNorm = 0, averageDecay = 0, multiplier = 1, decays = true } = options;
  const rule = updateRuleOf(optimizer);
  const { kernels, arrays } = arraysOf(...Array.from({ length: 3 + rule.moments.length }, () => begin.length));
  const [parameter, gradient, average, ...moments] = arrays;
  if (!parameter || !gradient || !average) throw new Error('unreachable');
  parameter.set(begin);
  average.set(begin);
  const trained: Trained = {
    ...{ parameter, gradient, moments, decays },
    average: averageDecay > 0 ? average : undefined,
    learningRateMultiplier: multiplier,
  };
  return GRADIENTS.map((values, index) => {
    gradient.set(values);
    const squares = squaresOf([trained]).reduce((sum, each) => sum + each, 0);
    const scale = clipFactor(squares, clipNorm);
    updateAll(kernels, [trained], { rule, learningRate: rate, step: index + 1, scale, averageDecay });
    return [...parameter, ...(averageDecay > 0 ? average : [])];
  });
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
  it.each(optimizerNames)('of %s is what its paper, or PyTorch, says', (name) => {
    expectClose(takenSteps(optimizerCalled(name)), steps(REFERENCES[name]));
  });

  it("takes Nesterov's momentum, momentum in rmsprop, and no momentum at all", () => {
    const nesterov = optimizerCalled('sgd', { nesterov: true, weightDecay: 0.1 });
    expectClose(takenSteps(nesterov), steps(sgd(0.9, 0.1, true)));
    expectClose(takenSteps(optimizerCalled('sgd', { momentum: 0, weightDecay: 0 })), steps(sgd(0, 0)));
    const withMomentum: Reference = ({ parameter, moments }, gradient) => {
      const squares = map(gradient, (g, i) => 0.99 * at(moments, 0, i) + 0.01 * g * g);
      const velocity = map(gradient, (g, i) => 0.8 * at(moments, 1, i) + g / (Math.sqrt(squares[i] ?? 0) + 1e-8));
      return { parameter: map(parameter, (p, i) => p - RATE * (velocity[i] ?? 0)), moments: [squares, velocity] };
    };
    expectClose(takenSteps(optimizerCalled('rmsprop', { momentum: 0.8 })), steps(withMomentum));
  });

  it('adds weight decay to the gradient, but in adamw and lamb, and not where a parameter does not decay', () => {
    const decayed: Reference = (state, gradient, rate, step) =>
      adam(
        state,
        map(gradient, (g, i) => g + 0.2 * (state.parameter[i] ?? 0)),
        rate,
        step,
      );
    expectClose(takenSteps(optimizerCalled('adam', { weightDecay: 0.2 })), steps(decayed));
    for (const name of ['adam', 'adamw'] as const)
      expectClose(takenSteps(optimizerCalled(name, { weightDecay: 0.2 }), { decays: false }), steps(adam));
    const plainLamb: Reference = (state, gradient, rate, step) => {
      const { direction, moments } = adamStep(state, gradient, step, [0.9, 0.999, 1e-6]);
      return { parameter: map(state.parameter, (p, i) => p - rate * (direction[i] ?? 0)), moments };
    };
    expectClose(takenSteps(optimizerCalled('lamb'), { decays: false }), steps(plainLamb));
    expectClose(takenSteps(optimizerCalled('lars'), { decays: false }), steps(sgd(0.9, 0)));
  });

  it('of lars and lamb goes by the learning rate alone where a parameter has no length', () => {
    const begin = BEGIN.map(() => 0);
    const [lars] = takenSteps(optimizerCalled('lars'), { begin });
    const [lamb] = takenSteps(optimizerCalled('lamb'), { begin });
    const [gradient = []] = GRADIENTS;
    // Adam's first step is the same for every gradient: m̂ = g, √v̂ = |g|.
    expectClose(
      [lars ?? [], lamb ?? []],
      [map(gradient, (g) => -RATE * g), map(gradient, (g) => -RATE * Math.sign(g))],
    );
  });

  it('goes by the learning rate of its parameter', () => {
    const got = takenSteps(optimizerCalled('adamw'), { multiplier: 10 });
    expectClose(got, steps(adamw, { rate: 10 * RATE }));
  });

  it.each(optimizerNames)('of %s goes down at its usual learning rate, a small part of the way', (name) => {
    const [first = []] = takenSteps(optimizerCalled(name), { rate: usualLearningRate(name) });
    const moved = map(first, (value, index) => value - (BEGIN[index] ?? 0));
    const slope = map(moved, (value, index) => value * (GRADIENTS[0]?.[index] ?? 0));
    expect(slope.reduce((sum, each) => sum + each, 0)).toBeLessThan(0);
    expect(norm(moved)).toBeLessThan(0.05 * norm(BEGIN));
  });

  it('shortens gradients that are longer than the norm, and no others', () => {
    const clipped = GRADIENTS.map((gradient) => {
      const factor = Math.min(1, 0.6 / (norm(gradient) + 1e-6));
      return map(gradient, (g) => g * factor);
    });
    expect(GRADIENTS.map((gradient) => norm(gradient) > 0.6)).toEqual([false, true, true]);
    const plain = optimizerCalled('sgd', { momentum: 0, weightDecay: 0 });
    expectClose(takenSteps(plain, { clipNorm: 0.6 }), steps(sgd(0, 0), { gradients: clipped }));
  });

  it('takes the norm of all gradients together', () => {
    const { kernels, arrays } = arraysOf(1, 1, 2, 2);
    const [one, slope, two, slopes] = arrays;
    if (!one || !slope || !two || !slopes) throw new Error('unreachable');
    slope.set([3]);
    slopes.set([0, 4]);
    const trained = [
      { parameter: one, gradient: slope },
      { parameter: two, gradient: slopes },
    ].map((each): Trained => ({ ...each, moments: [], average: undefined, learningRateMultiplier: 1, decays: false }));
    const squares = squaresOf(trained);
    expect(squares).toEqual([9, 16]);
    const rule = updateRuleOf(optimizerCalled('sgd', { momentum: 0 }));
    const options = { rule, learningRate: 1, step: 1, averageDecay: 0 };
    updateAll(kernels, trained, { ...options, scale: clipFactor(9 + 16, 1) });
    // √(3² + 4²) = 5
    expectClose([[...one], [...two]], [[-3 / 5], [0, -4 / 5]]);
  });

  it('moves averages by what is new, the faster the earlier', () => {
    const plain = optimizerCalled('sgd', { momentum: 0, weightDecay: 0 });
    let average = BEGIN;
    const wanted = steps(sgd(0, 0)).map((parameter, index) => {
      // 2/11, 3/12 and 4/13 of the old value stay, for all are less than 0.9.
      const stays = (index + 2) / (index + 11);
      average = map(average, (old, i) => stays * old + (1 - stays) * (parameter[i] ?? 0));
      return [...parameter, ...average];
    });
    expectClose(takenSteps(plain, { averageDecay: 0.9 }), wanted);
    const least = takenSteps(plain, { averageDecay: 0.1 });
    expect(least[0]?.[3]).toBeCloseTo(0.1 * 0.5 + 0.9 * (0.5 - RATE * 0.1), 6);
  });
});

describe('an optimizer', () => {
  it.each(['lars', 'rmsprop', 'sgd'] as const)('%s keeps nothing for a momentum of 0', (name) => {
    const kept = (momentum: number) => updateRuleOf(optimizerCalled(name, { momentum })).moments.length;
    expect(kept(0.9) - kept(0)).toBe(1);
  });

  it.each(optimizerNames)('%s does to many elements what it does to one, and to none a nothing', (name) => {
    const rule = updateRuleOf(optimizerCalled(name, { weightDecay: 0 }));
    for (const length of [1, 3, 4, 5, 1000]) {
      // What stands behind an array of an odd length is not touched.
      const { kernels, arrays } = arraysOf(length, length, length, length, 4);
      const [parameter, gradient, first, second, behind] = arrays;
      if (!parameter || !gradient || !first || !second || !behind) throw new Error('unreachable');
      parameter.fill(0.5);
      gradient.fill(-0.25);
      behind.fill(7);
      const moments = [first, second].slice(0, rule.moments.length);
      const inputs = { parameter, gradient, scale: 1, moments, decays: false };
      rule.update(kernels, inputs, { learningRate: 0.1, step: 1 });
      expect(new Set(parameter).size).toBe(1);
      expect(parameter[0]).toBeGreaterThan(0.5);
      expect([...behind]).toEqual([7, 7, 7, 7]);
    }
  });
});

describe('kernels', () => {
  it('refuse arrays of other lengths or of another memory, and do nothing to none', () => {
    const { kernels, arrays } = arraysOf(4, 8, 0);
    const [four, eight, none] = arrays;
    if (!four || !eight || !none) throw new Error('unreachable');
    expect(() => kernels.call('addTo', { sum: four, other: eight }, {})).toThrow(/one length/);
    expect(() => kernels.call('addTo', { sum: four, other: new Float32Array(4) }, {})).toThrow(/its memory/);
    kernels.call('addTo', { sum: none, other: none }, {});
    four.fill(1);
    kernels.call('addTo', { sum: four, other: four }, {});
    expect([...four]).toEqual([2, 2, 2, 2]);
  });

  it('pull a gradient towards an anchor as plain numbers do', () => {
    const { kernels, arrays } = arraysOf(5, 5, 5);
    const [gradient, parameter, anchor] = arrays;
    if (!gradient || !parameter || !anchor) throw new Error('unreachable');
    gradient.set([0.5, -1, 2, 0, 0.25]);
    parameter.set([1, 2, 3, 4, 5]);
    anchor.set([1, 0, 4, -4, 5.5]);
    kernels.call('proximal', { gradient, parameter, anchor }, { pull: 0.5 });
    expect([...gradient]).toEqual([0.5, 0, 1.5, 4, 0]);
    expect([...parameter]).toEqual([1, 2, 3, 4, 5]);
  });
});
