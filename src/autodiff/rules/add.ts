import { concreteShape } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** y = a + b  ⇒  da = dy, db = dy, each summed over what broadcasting stretched. */
export const add: GradientRule = {
  op: 'Add',
  gradients: ({ input, dy, g }) => [
    () => g.unbroadcast(dy, concreteShape(input(0))),
    () => g.unbroadcast(dy, concreteShape(input(1))),
  ],
};
