import type { GradientRule } from '../rule.js';

/** y = ln x  ⇒  dx = dy / x. */
export const log: GradientRule = {
  op: 'Log',
  gradients: ({ input, dy, g }) => [() => g.div(dy, input(0))],
};
