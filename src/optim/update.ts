import type { Builder } from '../graph/builder.js';
import { concreteShape, type Value } from '../graph/graph.js';
import type { UpdateRule } from './optimizers/updateRule.js';

/** A trainable parameter and what is known of it at a step. */
export interface Trained {
  readonly parameter: Value;
  readonly gradient: Value;
  readonly moments: readonly Value[];
  /** Present where averages are kept. */
  readonly average: Value | undefined;
  readonly learningRateMultiplier: number;
  readonly decays: boolean;
}

export interface Next {
  readonly parameter: Value;
  readonly moments: readonly Value[];
  readonly average: Value | undefined;
}

export interface UpdateOptions {
  readonly rule: UpdateRule;
  /** float32 scalar. */
  readonly learningRate: Value;
  /** float32 scalar, 1 at the first step. */
  readonly step: Value;
  /** The largest norm of all gradients together; 0 for any. */
  readonly clipNorm: number;
  /** How much of an average stays at a step, once it is warm. */
  readonly averageDecay: number;
}

/**
 * Appends a step's update of all parameters, their moments and their averages. Element by element, every shape would do, and a
 * vector is the fastest: where axes of length 1 follow others, as in pointwise convolutions' weights, ONNX Runtime's CPU provider
 * multiplies by a scalar one element at a time, 25 times slower. In a graph for the CPU provider alone the results stay vectors,
 * since an output that is a reshaped value is a copy.
 */
export function updateAll(g: Builder, trained: readonly Trained[], options: UpdateOptions): Next[] {
  const flat = (value: Value) => (value.shape?.length === 1 ? value : g.reshape(value, [-1]));
  const vectors = trained.map((each) => ({
    ...each,
    parameter: flat(each.parameter),
    gradient: flat(each.gradient),
    moments: each.moments.map(flat),
    average: each.average && flat(each.average),
  }));
  const next = updateVectors(g, vectors, options);
  if (g.blockSize !== undefined) return next;
  return next.map(({ parameter, moments, average }, index) => {
    const shape = concreteShape(trained[index]?.parameter ?? parameter);
    const shaped = (value: Value) => g.reshape(value, shape);
    return { parameter: shaped(parameter), moments: moments.map(shaped), average: average && shaped(average) };
  });
}

function updateVectors(g: Builder, trained: readonly Trained[], options: UpdateOptions): Next[] {
  const { rule, learningRate, step } = options;
  const gradients = trained.map(({ gradient }) => gradient);
  const clipped = options.clipNorm > 0 ? clipByGlobalNorm(g, gradients, options.clipNorm) : gradients;
  const updates = new Map<number, ReturnType<UpdateRule['prepare']>>();
  const updateAt = (multiplier: number) => {
    let update = updates.get(multiplier);
    if (!update) {
      const rate = multiplier === 1 ? learningRate : g.mul(learningRate, g.scalar(multiplier));
      updates.set(multiplier, (update = rule.prepare(g, { learningRate: rate, step })));
    }
    return update;
  };
  const newShare = trained.some(({ average }) => average) ? averageShare(g, step, options.averageDecay) : undefined;
  return trained.map(({ parameter, gradient, moments, average, learningRateMultiplier, decays }, index) => {
    const update = updateAt(learningRateMultiplier);
    const next = update({ parameter, gradient: clipped[index] ?? gradient, moments, decays });
    return {
      ...next,
      average: average && newShare && g.add(average, g.mul(g.sub(next.parameter, average), newShare)),
    };
  });
}

/** g · min(1, largest/(‖all g‖ + 10⁻⁶)), as torch.nn.utils.clip_grad_norm_ (Pascanu et al. 2013). */
function clipByGlobalNorm(g: Builder, gradients: readonly Value[], largest: number): Value[] {
  const squares = gradients.map((gradient) => g.reduceSumSquare(gradient));
  const total = g.sqrt(squares.length === 1 ? (squares[0] ?? g.scalar(0)) : g.op('Sum', squares));
  const factor = g.op('Min', [g.scalar(1), g.div(g.scalar(largest), g.add(total, g.scalar(1e-6)))]);
  return gradients.map((gradient) => g.mul(gradient, factor));
}

/**
 * 1 − min(decay, (1 + t)/(10 + t)): what a new value counts in the moving average of step t. The average begins at the first
 * parameters, and forgets them fast (as TensorFlow's ExponentialMovingAverage), so that short trainings have one too.
 */
function averageShare(g: Builder, step: Value, decay: number): Value {
  const warm = g.div(g.add(step, g.scalar(1)), g.add(step, g.scalar(10)));
  return g.sub(g.scalar(1), g.op('Min', [g.scalar(decay), warm]));
}
