import { concreteShape, int, ints, type Value } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/**
 * y = x / dᵝ with d = bias + α·mean of x² over the `size` channels around it, 0 beyond the ends  ⇒
 * dx = dy / dᵝ − 2αβ·x·mean of (dy·y/d) over the same channels. ONNX Runtime takes an odd `size` alone.
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
      const reach = (size - 1) / 2;
      const neighbours = (value: Value) => {
        const rows = g.reshape(value, [images, 1, channels, space.reduce((product, dim) => product * dim, 1)]);
        const mean = g.op('AveragePool', [rows], {
          kernel_shape: ints([size, 1]),
          pads: ints([reach, 0, reach, 0]),
          count_include_pad: int(1),
        });
        return g.reshape(mean, shape);
      };
      const squares = neighbours(g.mul(x, x));
      const d = g.add(g.mul(squares, g.scalar(alpha)), g.scalar(node.float('bias', 1)));
      const others = neighbours(g.div(g.mul(dy, output()), d));
      return g.sub(g.mul(dy, g.pow(d, g.scalar(-beta))), g.mul(g.mul(x, g.scalar(2 * alpha * beta)), others));
    },
  ],
};
