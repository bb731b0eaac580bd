import { clip } from '../piecewise.js';
import type { GradientRule } from '../rule.js';

/**
 * y = x · w with w = tanh(ln(1 + eˣ))  ⇒  dx = dy · (w + xσ(x) · (1 − w²)). With n = eˣ(eˣ + 2), w is n / (n + 2), which is
 * 1 in float32 long before eˣ has to be kept from overflowing.
 */
export const mish: GradientRule = {
  op: 'Mish',
  gradients: ({ input, dy, g }) => [
    () => {
      const x = input(0);
      const [one, two] = [g.scalar(1), g.scalar(2)];
      const e = g.exp(clip(g, x, undefined, 20));
      const n = g.mul(e, g.add(e, two));
      const w = g.div(n, g.add(n, two));
      return g.mul(dy, g.add(w, g.mul(g.mul(x, g.sigmoid(x)), g.sub(one, g.mul(w, w)))));
    },
  ],
};
