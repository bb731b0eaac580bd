import { sign } from '../piecewise.js';
import type { GradientRule } from '../rule.js';

/** y = |x|  ⇒  dx = dy · sign x, 0 where x is 0. */
export const abs: GradientRule = {
  op: 'Abs',
  gradients: ({ input, dy, g }) => [() => g.mul(dy, sign(g, input(0)))],
};
