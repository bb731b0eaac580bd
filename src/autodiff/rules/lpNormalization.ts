import { concreteShape } from '../../graph/graph.js';
import { clip, sign } from '../piecewise.js';
import type { GradientRule } from '../rule.js';

/** y = x / n with n = ‖x‖ along an axis  ⇒  dx = (dy − s · Σ dy·y) / n, with s = y for the second norm and sign x for the first. */
export const lpNormalization: GradientRule = {
  op: 'LpNormalization',
  gradients: ({ node, input, output, dy, g }) => [
    () => {
      const rank = concreteShape(input(0)).length;
      const axis = [(node.int('axis', -1) + rank) % rank];
      const isFirst = node.int('p', 2) === 1;
      const norm = g.op(isFirst ? 'ReduceL1' : 'ReduceL2', [input(0), g.vector(axis)]);
      const along = g.reduceSum(g.mul(dy, output()), axis);
      const slope = isFirst ? sign(g, input(0)) : output();
      return g.div(g.sub(dy, g.mul(slope, along)), clip(g, norm, 1e-30));
    },
  ],
};
