import type { GradientRule } from '../rule.js';

/** y = −x  ⇒  dx = −dy. */
export const neg: GradientRule = {
  op: 'Neg',
  gradients: ({ dy, g }) => [() => g.neg(dy)],
};
