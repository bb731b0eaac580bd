import type { GradientRule } from '../rule.js';

/** y = a + b  ⇒  da = dy, db = dy. */
export const add: GradientRule = {
  op: 'Add',
  gradients: ({ dy }) => [() => dy, () => dy],
};
