import type { GradientRule } from '../rule.js';

/** y = x / (1 + |x|)  ⇒  dx = dy / (1 + |x|)². */
export const softsign: GradientRule = {
  op: 'Softsign',
  gradients: ({ input, dy, g }) => [
    () => {
      const divisor = g.add(g.abs(input(0)), g.scalar(1));
      return g.div(dy, g.mul(divisor, divisor));
    },
  ],
};
