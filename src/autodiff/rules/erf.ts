import type { Builder } from '../../graph/builder.js';
import type { Value } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** y = erf x  ⇒  dx = dy · 2/√π · exp(−x²). */
export const erf: GradientRule = {
  op: 'Erf',
  gradients: ({ input, dy, g }) => [() => g.mul(dy, erfSlope(g, input(0)))],
};

/** 2/√π · exp(−x²), the factor within the exponent to spare a pass. */
export function erfSlope(g: Builder, x: Value): Value {
  return g.exp(g.sub(g.scalar(Math.log(2 / Math.sqrt(Math.PI))), g.mul(x, x)));
}
