import type { GradientRule } from '../rule.js';

/** y = √x  ⇒  dx = ½ dy / y. Keeps y, not x. */
export const sqrt: GradientRule = {
  op: 'Sqrt',
  gradients: ({ output, dy, g }) => [() => g.div(g.mul(dy, g.scalar(0.5)), output())],
};
