import { concreteShape } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** y = a − b  ⇒  da = dy, db = −dy. */
export const sub: GradientRule = {
  op: 'Sub',
  gradients: ({ input, dy, g }) => [
    () => g.unbroadcast(dy, concreteShape(input(0))),
    () => g.neg(g.unbroadcast(dy, concreteShape(input(1)))),
  ],
};
