import { indicator } from '../piecewise.js';
import type { GradientRule } from '../rule.js';

/** y = a where the condition c holds, b elsewhere  ⇒  da = dy where c, db = dy where not c. */
export const where: GradientRule = {
  op: 'Where',
  gradients: ({ input, dy, g }) => [
    undefined,
    () => g.mul(dy, indicator(g, input(0))),
    () => g.mul(dy, indicator(g, g.op('Not', [input(0)]))),
  ],
};
