import { concreteShape } from '../../graph/graph.js';
import { indicator } from '../piecewise.js';
import type { GradientRule } from '../rule.js';

/** y = the largest x of each map  ⇒  dy goes to it; to several that are equal, in equal shares (PyTorch's `amax`). */
export const globalMaxPool: GradientRule = {
  op: 'GlobalMaxPool',
  gradients: ({ input, output, dy, g }) => [
    () => {
      const space = concreteShape(input(0)).flatMap((_, axis) => (axis < 2 ? [] : [axis]));
      const isChosen = indicator(g, g.equal(input(0), output()));
      return g.mul(isChosen, g.div(dy, g.reduceSum(isChosen, space)));
    },
  ],
};
