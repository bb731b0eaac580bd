import { concreteShape } from '../../graph/graph.js';
import { transposedMaps } from '../axisMap.js';
import { constantNumbers } from '../constants.js';
import { interpolation } from '../interpolation.js';
import type { GradientRule } from '../rule.js';

/** y = x, interpolated along each axis in turn: y = M·x  ⇒  dx = Mᵀ·dy along each axis. */
export const resize: GradientRule = {
  op: 'Resize',
  gradients: ({ node, input, output, dy, g }) => [
    () => {
      const [from, to] = [concreteShape(input(0)), concreteShape(output())];
      const axes = (node.ints('axes') ?? from.map((_, axis) => axis)).map((axis) =>
        axis < 0 ? axis + from.length : axis,
      );
      const roi = constantNumbers(node, 1, 'region') ?? [];
      const scales = constantNumbers(node, 2, 'scales') ?? [];
      const maps = axes.map((axis, place) => {
        const [length = 0, count = 0] = [from[axis], to[axis]];
        const scale = scales[place] ?? count / length;
        return interpolation(node, {
          axis,
          length,
          count,
          scale,
          start: roi[place] ?? 0,
          end: roi[place + axes.length] ?? 1,
        });
      });
      return transposedMaps(g, dy, maps);
    },
    undefined,
    undefined,
    undefined,
  ],
};
