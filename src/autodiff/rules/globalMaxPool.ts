import { concreteShape } from '../../graph/graph.js';
import { indicator } from '../piecewise.js';
import type { GradientRule } from '../rule.js';

/** y = largest x over space  ⇒  dy goes to it; to several that are equal, in equal shares (PyTorch's `amax`). */
export const globalMaxPool: GradientRule = {
  op: 'GlobalMaxPool',
  gradients: ({ input, output, dy, g }) => [
    () => {
      const isLargest = indicator(g, g.equal(input(0), output()));
      const space = concreteShape(input(0))
        .slice(2)
        .map((_, axis) => axis + 2);
      return g.mul(isLargest, g.div(dy, g.reduceSum(isLargest, space)));
    },
  ],
};
