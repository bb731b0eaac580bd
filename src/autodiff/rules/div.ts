import { concreteShape } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** y = a / b  ⇒  da = dy / b, db = −dy · y / b. */
export const div: GradientRule = {
  op: 'Div',
  gradients: ({ input, output, dy, g }) => [
    () => g.unbroadcast(g.div(dy, input(1)), concreteShape(input(0))),
    () => g.neg(g.unbroadcast(g.div(g.mul(dy, output()), input(1)), concreteShape(input(1)))),
  ],
};
