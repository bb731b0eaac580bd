import type { GradientRule } from '../rule.js';

/** y = x  ⇒  dx = dy. */
export const identity: GradientRule = {
  op: 'Identity',
  gradients: ({ dy }) => [() => dy],
};
