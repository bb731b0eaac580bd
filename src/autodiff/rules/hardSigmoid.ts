import { indicator } from '../piecewise.js';
import type { GradientRule } from '../rule.js';

/** y = αx + β, cut off below 0 and above 1  ⇒  dx = α·dy where 0 < y < 1. */
export const hardSigmoid: GradientRule = {
  op: 'HardSigmoid',
  gradients: ({ node, output, dy, g }) => [
    () => {
      const half = g.scalar(0.5);
      const isInside = g.less(g.abs(g.sub(output(), half)), half);
      return g.mul(g.mul(dy, g.scalar(node.float('alpha', 0.2))), indicator(g, isInside));
    },
  ],
};
