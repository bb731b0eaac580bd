import { concreteShape, int, ints, type Value } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/**
 * y = x / dᵝ with d = bias + α·mean of x² over `size` neighbouring channels, 0 beyond the ends  ⇒
 * dx = dy / dᵝ − 2αβ·x·mean of (dy·y/d) over the channels whose neighbour x is.
 */
export const lrn: GradientRule = {
  op: 'LRN',
  gradients: ({ node, input, output, dy, g }) => [
    () => {
      const x = input(0);
      const shape = concreteShape(x);
      const [images = 0, channels = 0, ...space] = shape;
      const size = node.int('size', 1);
      const alpha = node.float('alpha', 1e-4);
      const beta = node.float('beta', 0.75);
      const before = Math.floor((size - 1) / 2);
      const after = size - 1 - before;
      const neighbours = (value: Value, pads: readonly number[]) => {
        const rows = g.reshape(value, [images, 1, channels, space.reduce((product, dim) => product * dim, 1)]);
        const mean = g.op('AveragePool', [rows], {
          kernel_shape: ints([size, 1]),
          pads: ints(pads),
          count_include_pad: int(1),
        });
        return g.reshape(mean, shape);
      };
      const squares = neighbours(g.mul(x, x), [before, 0, after, 0]);
      const d = g.add(g.mul(squares, g.scalar(alpha)), g.scalar(node.float('bias', 1)));
      const others = neighbours(g.div(g.mul(dy, output()), d), [after, 0, before, 0]);
      return g.sub(g.mul(dy, g.pow(d, g.scalar(-beta))), g.mul(g.mul(x, g.scalar(2 * alpha * beta)), others));
    },
  ],
};
