import { concreteShape } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** Operators that keep the order of the elements: the gradient takes the input's shape again. */
const reshaping = (op: string): GradientRule => ({
  op,
  gradients: ({ input, dy, g }) => [() => g.reshape(dy, concreteShape(input(0))), undefined],
});

export const flatten = reshaping('Flatten');
export const reshape = reshaping('Reshape');
export const squeeze = reshaping('Squeeze');
export const unsqueeze = reshaping('Unsqueeze');
