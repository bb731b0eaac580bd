import { concreteShape } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** y = a · b  ⇒  da = dy · b, db = dy · a. */
export const mul: GradientRule = {
  op: 'Mul',
  gradients: ({ input, dy, g }) => [
    () => g.unbroadcast(g.mul(dy, input(1)), concreteShape(input(0))),
    () => g.unbroadcast(g.mul(dy, input(0)), concreteShape(input(1))),
  ],
};
