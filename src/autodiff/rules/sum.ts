import { type GradientRule, scaled } from '../rule.js';

/** y = a + b + …  ⇒  each gets dy. */
export const sum: GradientRule = {
  op: 'Sum',
  gradients: ({ node, dy }) => node.inputs.map(() => () => dy),
};

/** y = (a + b + …) / n  ⇒  each gets dy / n. */
export const mean: GradientRule = {
  op: 'Mean',
  gradients: ({ node, dy }) => node.inputs.map(() => () => scaled(dy, 1 / node.inputs.length)),
};
