import { concreteShape } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** y = [a, b, …] along an axis  ⇒  each gets its own slice of dy. */
export const concat: GradientRule = {
  op: 'Concat',
  gradients: ({ node, input, dy, g }) => {
    const shapes = node.inputs.map((_, index) => concreteShape(input(index)));
    const axis = (node.int('axis', 0) + (shapes[0]?.length ?? 0)) % (shapes[0]?.length ?? 1);
    let end = 0;
    return shapes.map((shape) => {
      const start = end;
      end += shape[axis] ?? 0;
      const stop = end;
      return () => g.slice(dy, [start], [stop], [axis]);
    });
  },
};
