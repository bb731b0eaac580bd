import type { GradientRule } from '../rule.js';

/** y = 1 / x  ⇒  dx = −dy · y². Keeps y, not x. */
export const reciprocal: GradientRule = {
  op: 'Reciprocal',
  gradients: ({ output, dy, g }) => [() => g.neg(g.mul(dy, g.mul(output(), output())))],
};
