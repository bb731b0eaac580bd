import { concreteShape } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** y = x side by side with itself, r times along each axis  ⇒  dx = Σ dy over the copies. */
export const tile: GradientRule = {
  op: 'Tile',
  gradients: ({ input, dy, g }) => [
    () => {
      const shape = concreteShape(input(0));
      const result = concreteShape(dy);
      const copies = g.reshape(
        dy,
        shape.flatMap((dim, axis) => [(result[axis] ?? 0) / dim, dim]),
      );
      return g.reduceSum(
        copies,
        shape.map((_, axis) => 2 * axis),
        false,
      );
    },
    undefined,
  ],
};
