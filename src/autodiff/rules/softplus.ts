import type { GradientRule } from '../rule.js';

/** y = ln(1 + eˣ)  ⇒  dx = dy · σ(x). */
export const softplus: GradientRule = {
  op: 'Softplus',
  gradients: ({ input, dy, g }) => [() => g.mul(dy, g.sigmoid(input(0)))],
};
