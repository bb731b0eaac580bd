import type { GradientRule } from '../rule.js';

/** y = eˣ  ⇒  dx = dy · y. Keeps y, not x. */
export const exp: GradientRule = {
  op: 'Exp',
  gradients: ({ output, dy, g }) => [() => g.mul(dy, output())],
};
