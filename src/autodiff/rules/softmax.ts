import type { GradientRule } from '../rule.js';

/** y = softmax(x)  ⇒  dx = y · (dy − Σ y·dy), sums along the axis. */
export const softmax: GradientRule = {
  op: 'Softmax',
  gradients: ({ node, output, dy, g }) => [
    () => g.mul(output(), g.sub(dy, g.reduceSum(g.mul(output(), dy), [node.int('axis', -1)]))),
  ],
};
