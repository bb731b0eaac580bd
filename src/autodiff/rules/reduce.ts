import { concreteShape, type Node } from '../../graph/graph.js';
import { elementCount, toNumbers } from '../../onnx/tensor.js';
import type { GradientRule, RuleContext } from '../rule.js';

/** y = Σ x  ⇒  dx = dy, stretched over the axes that were summed. */
export const reduceSum: GradientRule = {
  op: 'ReduceSum',
  gradients: (context) => [() => stretched(context, 1), undefined],
};

/** y = mean of x  ⇒  dx = dy / count, stretched over the axes. */
export const reduceMean: GradientRule = {
  op: 'ReduceMean',
  gradients: (context) => [
    () =>
      stretched(context, elementCount(concreteShape(context.output())) / elementCount(concreteShape(context.input(0)))),
    undefined,
  ],
};

function stretched({ node, input, dy, g }: RuleContext, factor: number) {
  const shape = concreteShape(input(0));
  const axes = new Set(reducedAxes(node, shape.length));
  const kept = g.reshape(
    dy,
    shape.map((dim, axis) => (axes.has(axis) ? 1 : dim)),
  );
  return g.expand(factor === 1 ? kept : g.mul(kept, g.scalar(factor)), shape);
}

function reducedAxes(node: Node, rank: number): number[] {
  const constant = node.inputs[1]?.constant;
  const axes = constant ? toNumbers(constant) : [];
  if (axes.length > 0) return axes.map((axis) => (axis < 0 ? axis + rank : axis));
  return node.int('noop_with_empty_axes', 0) === 1 ? [] : Array.from({ length: rank }, (_, axis) => axis);
}
