import { concreteShape } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** y = x, broadcast to a shape  ⇒  dx = Σ dy over the axes that were stretched. */
export const expand: GradientRule = {
  op: 'Expand',
  gradients: ({ input, dy, g }) => [() => g.unbroadcast(dy, concreteShape(input(0))), undefined],
};
