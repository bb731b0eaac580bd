import { type GradientRule, scaled } from '../rule.js';

/** y = a − b  ⇒  da = dy, db = −dy. */
export const sub: GradientRule = {
  op: 'Sub',
  gradients: ({ dy }) => [() => dy, () => scaled(dy, -1)],
};
