import { concreteShape } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** [y₀, y₁, …] = parts of x along an axis  ⇒  dx = their gradients, joined; a part that the loss does not need gives zeros. */
export const split: GradientRule = {
  op: 'Split',
  gradientsOfAll: ({ node, input, output, dOutputs, g }) => [
    () => {
      const rank = concreteShape(input(0)).length;
      const parts = node.outputs.map(
        (_, index) => dOutputs[index] ?? g.expand(g.scalar(0), concreteShape(output(index))),
      );
      return g.concat(parts, (node.int('axis', 0) + rank) % rank);
    },
    undefined,
  ],
};
