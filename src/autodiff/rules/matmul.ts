import { concreteShape, type Value } from '../../graph/graph.js';
import type { Builder } from '../../graph/builder.js';
import type { GradientRule } from '../rule.js';

/** y = a·b over the last two axes, leading axes broadcast  ⇒  da = dy·bᵀ, db = aᵀ·dy. */
export const matmul: GradientRule = {
  op: 'MatMul',
  gradients: ({ input, dy, g }) => [
    () => g.unbroadcast(g.matmul(dy, swapLast(g, input(1))), concreteShape(input(0))),
    () => g.unbroadcast(g.matmul(swapLast(g, input(0)), dy), concreteShape(input(1))),
  ],
};

function swapLast(g: Builder, x: Value): Value {
  const axes = concreteShape(x).map((_, axis) => axis);
  return g.transpose(x, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]);
}
