import type { Builder } from '../graph/builder.js';
import type { Value } from '../graph/graph.js';

/** What the loss is multiplied by at first, and after how many steps without an overflow it doubles, as PyTorch's GradScaler has it. */
export const FIRST_LOSS_SCALE = 2 ** 16;
const GROWTH_STEPS = 2000;

/** The state of loss scaling: what the loss is multiplied by, and for how many steps that has not overflowed; an element each. */
export interface LossScaling {
  readonly scale: Float32Array;
  readonly steps: Float32Array;
}

/** Halves the scale where a gradient has overflowed, and doubles it after enough steps without (Micikevicius et al. 2018). */
export function moveLossScale({ scale, steps }: LossScaling, hasOverflowed: boolean): void {
  const taken = (steps[0] ?? 0) + 1;
  const grows = !hasOverflowed && taken === GROWTH_STEPS;
  scale[0] = (scale[0] ?? 0) * (hasOverflowed ? 0.5 : grows ? 2 : 1);
  steps[0] = hasOverflowed || grows ? 0 : taken;
}

/** Appends the same to a graph: the next `scale` and `steps`, float32 scalars. `isFinite`: a bool scalar, whether no gradient has overflowed. */
export function lossScalingNodes(
  g: Builder,
  before: { readonly scale: Value; readonly steps: Value },
  isFinite: Value,
): { readonly scale: Value; readonly steps: Value } {
  const taken = g.add(before.steps, g.scalar(1));
  const grows = g.equal(taken, g.scalar(GROWTH_STEPS));
  const factor = g.where(isFinite, g.where(grows, g.scalar(2), g.scalar(1)), g.scalar(0.5));
  const kept = g.where(grows, g.scalar(0), taken);
  return { scale: g.mul(before.scale, factor), steps: g.where(isFinite, kept, g.scalar(0)) };
}

/** Whether all numbers of all `values` are finite: a bool scalar. */
export function areFiniteNodes(g: Builder, values: readonly Value[]): Value {
  // Times 0, what is finite is 0, and all else is NaN.
  const zeros = values.map((value) => g.reduceSum(g.mul(value, g.scalar(0)), undefined, false));
  return g.equal(sumNodes(g, zeros), g.scalar(0));
}

/** The sum of scalars. */
export const sumNodes = (g: Builder, scalars: readonly Value[]): Value =>
  scalars.length === 1 && scalars[0] ? scalars[0] : g.op('Sum', scalars);
