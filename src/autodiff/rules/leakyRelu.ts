import { step } from '../piecewise.js';
import type { GradientRule } from '../rule.js';

/** y = x where x > 0, αx elsewhere  ⇒  dx = dy where x > 0, α·dy elsewhere. */
export const leakyRelu: GradientRule = {
  op: 'LeakyRelu',
  gradients: ({ node, input, dy, g }) => [() => g.mul(dy, step(g, input(0), node.float('alpha', 0.01), 1))],
};
