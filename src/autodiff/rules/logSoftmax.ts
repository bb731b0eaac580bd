import type { GradientRule } from '../rule.js';

/** y = x − log Σ exp(x)  ⇒  dx = dy − exp(y) · Σ dy, sums along the axis. */
export const logSoftmax: GradientRule = {
  op: 'LogSoftmax',
  gradients: ({ node, output, dy, g }) => [
    () => g.sub(dy, g.mul(g.exp(output()), g.reduceSum(dy, [node.int('axis', -1)]))),
  ],
};
