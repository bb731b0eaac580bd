import { concreteShape } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** y = a + b + …  ⇒  each gets dy, summed over what broadcasting stretched. */
export const sum: GradientRule = {
  op: 'Sum',
  gradients: ({ node, input, dy, g }) =>
    node.inputs.map((_, index) => () => g.unbroadcast(dy, concreteShape(input(index)))),
};

/** y = (a + b + …) / n  ⇒  each gets dy / n. */
export const mean: GradientRule = {
  op: 'Mean',
  gradients: ({ node, input, dy, g }) =>
    node.inputs.map((_, index) => () => {
      const sum = g.unbroadcast(dy, concreteShape(input(index)));
      return g.mul(sum, g.scalar(1 / node.inputs.length));
    }),
};
