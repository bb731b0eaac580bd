import { concreteShape } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** y = x with its axes permuted  ⇒  dx = dy with the inverse permutation. */
export const transpose: GradientRule = {
  op: 'Transpose',
  gradients: ({ node, input, dy, g }) => [
    () => {
      const axes = concreteShape(input(0)).map((_, axis) => axis);
      const permutation = node.ints('perm') ?? axes.toReversed();
      return g.transpose(
        dy,
        axes.map((axis) => permutation.indexOf(axis)),
      );
    },
  ],
};
