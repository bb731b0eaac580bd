import type { GradientRule } from '../rule.js';

/** y = x, broadcast to a shape  ⇒  dx = dy, summed like any other that was stretched. */
export const expand: GradientRule = {
  op: 'Expand',
  gradients: ({ dy }) => [() => dy, undefined],
};
