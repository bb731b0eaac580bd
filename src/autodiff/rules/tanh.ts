import type { GradientRule } from '../rule.js';

/** y = tanh(x)  ⇒  dx = dy · (1 − y²). Keeps y, not x. */
export const tanh: GradientRule = {
  op: 'Tanh',
  gradients: ({ output, dy, g }) => [() => g.mul(dy, g.sub(g.scalar(1), g.mul(output(), output())))],
};
