import type { GradientRule } from '../rule.js';

/** y = a · b  ⇒  da = dy · b, db = dy · a. */
export const mul: GradientRule = {
  op: 'Mul',
  gradients: ({ input, dy, g }) => [() => g.mul(dy, input(1)), () => g.mul(dy, input(0))],
};
