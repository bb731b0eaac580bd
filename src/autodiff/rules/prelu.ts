import { clip, step } from '../piecewise.js';
import type { GradientRule } from '../rule.js';

/** y = x where x > 0, a·x elsewhere, a broadcast  ⇒  dx = dy where x > 0, a·dy elsewhere; da = dy · min(x, 0). */
export const prelu: GradientRule = {
  op: 'PRelu',
  gradients: ({ input, dy, g }) => [
    () => {
      const [x, slope] = [input(0), input(1)];
      return g.mul(dy, g.add(slope, g.mul(step(g, x, 0, 1), g.sub(g.scalar(1), slope))));
    },
    () => g.mul(dy, clip(g, input(0), undefined, 0)),
  ],
};
