import type { GradientRule } from '../rule.js';

/** y = σ(x)  ⇒  dx = dy · y · (1 − y). Keeps y, not x. */
export const sigmoid: GradientRule = {
  op: 'Sigmoid',
  gradients: ({ output, dy, g }) => [() => g.mul(dy, g.mul(output(), g.sub(g.scalar(1), output())))],
};
