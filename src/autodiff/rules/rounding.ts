import { concreteShape } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** Operators whose result stays the same between its jumps: the gradient is 0, as in PyTorch. */
const rounding = (op: string): GradientRule => ({
  op,
  gradients: ({ input, g }) => [() => g.expand(g.scalar(0), concreteShape(input(0)))],
});

export const ceil = rounding('Ceil');
export const floor = rounding('Floor');
export const round = rounding('Round');
export const sign = rounding('Sign');
