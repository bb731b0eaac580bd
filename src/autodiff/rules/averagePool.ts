import { convGeometry } from '../../graph/convGeometry.js';
import { concreteShape } from '../../graph/graph.js';
import { accumulate, type AxisMap, transposedMaps } from '../axisMap.js';
import type { GradientRule } from '../rule.js';

/**
 * y = the mean of each window, which is a mean along each axis in turn: y = M·x with M[o, i] = 1 / count(o) where window o
 * holds i  ⇒  dx = Mᵀ·dy along each axis. Only `count_include_pad` counts padding; what `ceil_mode` adds never counts.
 */
export const averagePool: GradientRule = {
  op: 'AveragePool',
  gradients: ({ node, input, output, dy, g }) => [
    () => {
      const { kernel, strides, dilations, pads } = convGeometry(node);
      const countsPadding = node.int('count_include_pad', 0) === 1;
      const [from, to] = [concreteShape(input(0)), concreteShape(output())];
      const maps = kernel.map((size, place): AxisMap => {
        const axis = place + 2;
        const [length = 0, count = 0] = [from[axis], to[axis]];
        const [begin, end] = [pads[place] ?? 0, pads[place + kernel.length] ?? 0];
        const rows = Array.from({ length: count }, (_, output) => {
          const window = Array.from(
            { length: size },
            (_, tap) => output * (strides[place] ?? 1) - begin + tap * (dilations[place] ?? 1),
          );
          const inside = window.filter((index) => index >= 0 && index < length);
          const counted = countsPadding ? window.filter((index) => index < length + end) : inside;
          const row = new Map<number, number>();
          for (const index of inside) accumulate(row, index, 1 / counted.length);
          return row;
        });
        return { axis, length, rows };
      });
      return transposedMaps(g, dy, maps);
    },
  ],
};
