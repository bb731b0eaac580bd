import { indicator } from '../piecewise.js';
import type { GradientRule } from '../rule.js';

/** y = x where x > α, 0 elsewhere  ⇒  dx = dy where x > α. */
export const thresholdedRelu: GradientRule = {
  op: 'ThresholdedRelu',
  gradients: ({ node, input, dy, g }) => [
    () => g.mul(dy, indicator(g, g.greater(input(0), g.scalar(node.float('alpha', 1))))),
  ],
};
