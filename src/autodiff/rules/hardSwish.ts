import { float } from '../../graph/graph.js';
import { indicator } from '../piecewise.js';
import type { GradientRule } from '../rule.js';

/**
 * y = x · h with h = x/6 + ½ cut off below 0 and above 1  ⇒  dx = dy · (h + x/6 where |x| < 3). Writing h as the HardSigmoid
 * that ONNX Runtime expands HardSwish to lets it compute h once.
 */
export const hardSwish: GradientRule = {
  op: 'HardSwish',
  gradients: ({ input, dy, g }) => [
    () => {
      const x = input(0);
      const h = g.op('HardSigmoid', [x], { alpha: float(1 / 6), beta: float(0.5) });
      const isInside = indicator(g, g.less(g.abs(x), g.scalar(3)));
      return g.mul(dy, g.add(h, g.mul(g.mul(x, g.scalar(1 / 6)), isInside)));
    },
  ],
};
