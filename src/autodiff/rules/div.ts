import { type GradientRule, scaled } from '../rule.js';

/** y = a / b  ⇒  da = dy / b, db = −dy · y / b. */
export const div: GradientRule = {
  op: 'Div',
  gradients: ({ input, output, dy, g }) => [
    () => g.div(dy, input(1)),
    () => scaled(g.div(g.mul(dy, output()), input(1)), -1),
  ],
};
