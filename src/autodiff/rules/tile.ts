import { concreteShape } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** y = x, repeated along its axes  ⇒  dx = Σ dy over the copies, which are an axis of their own before each axis. */
export const tile: GradientRule = {
  op: 'Tile',
  gradients: ({ input, output, dy, g }) => [
    () => {
      const [from, to] = [concreteShape(input(0)), concreteShape(output())];
      const copies = from.map((length, axis) => (to[axis] ?? 0) / length);
      const split = from.flatMap((length, axis) => (copies[axis] === 1 ? [length] : [copies[axis] ?? 0, length]));
      const summed: number[] = [];
      let place = 0;
      for (const count of copies) {
        if (count !== 1) summed.push(place++);
        place++;
      }
      if (summed.length === 0) return dy;
      return g.reshape(g.reduceSum(g.reshape(dy, split), summed, false), from);
    },
    undefined,
  ],
};
