import { concreteShape } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** y = x, repeated along axes of length 1 or that it lacks  ⇒  dx = Σ dy over them. */
export const expand: GradientRule = {
  op: 'Expand',
  gradients: ({ input, dy, g }) => [() => g.unbroadcast(dy, concreteShape(input(0))), undefined],
};
