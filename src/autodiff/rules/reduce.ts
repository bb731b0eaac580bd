import { concreteShape, type Node, type Value } from '../../graph/graph.js';
import { elementCount, toNumbers } from '../../onnx/tensor.js';
import { clip, indicator, sign } from '../piecewise.js';
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

/** y = largest x  ⇒  dy goes to it; to several that are equal, in equal shares (PyTorch's `amax`). */
export const reduceMax = extreme('ReduceMax');
export const reduceMin = extreme('ReduceMin');

/** y = Σ |x|  ⇒  dx = dy · sign x. */
export const reduceL1 = reducing('ReduceL1', ({ input, g }, dy) => g.mul(sign(g, input(0)), dy));

/** y = √Σ x²  ⇒  dx = x · dy / y, and 0 where all x are 0. */
export const reduceL2 = reducing('ReduceL2', ({ input, g }, dy, y) => g.mul(input(0), g.div(dy, clip(g, y, 1e-30))));

/** y = Σ x²  ⇒  dx = 2x · dy. */
export const reduceSumSquare = reducing('ReduceSumSquare', ({ input, g }, dy) =>
  g.mul(input(0), g.mul(dy, g.scalar(2))),
);

/** y = ln Σ x  ⇒  dx = dy / Σ x, stretched over the axes. */
export const reduceLogSum: GradientRule = {
  op: 'ReduceLogSum',
  gradients: (context) => [
    () => {
      const { input, output, dy, g } = context;
      return g.expand(kept(context, g.div(dy, g.exp(output()))), concreteShape(input(0)));
    },
    undefined,
  ],
};

/** y = ln Σ eˣ  ⇒  dx = dy · e^(x − y). */
export const reduceLogSumExp = reducing('ReduceLogSumExp', ({ input, g }, dy, y) =>
  g.mul(g.exp(g.sub(input(0), y)), dy),
);

function extreme(op: string): GradientRule {
  return reducing(op, (context, dy, y) => {
    const { input, g } = context;
    const isChosen = indicator(g, g.equal(input(0), y));
    const axes = reducedAxes(context.node, concreteShape(input(0)).length);
    return g.mul(isChosen, g.div(dy, axes.length === 0 ? isChosen : g.reduceSum(isChosen, axes)));
  });
}

/** A rule that is given dy and y with the reduced axes at length 1, so that they broadcast with x. */
function reducing(op: string, gradient: (context: RuleContext, dy: Value, y: Value) => Value): GradientRule {
  return {
    op,
    gradients: (context) => [
      () => gradient(context, kept(context, context.dy), kept(context, context.output())),
      undefined,
    ],
  };
}

function stretched(context: RuleContext, factor: number): Value {
  const { input, dy, g } = context;
  const value = kept(context, dy);
  return g.expand(factor === 1 ? value : g.mul(value, g.scalar(factor)), concreteShape(input(0)));
}

/** `value`, of the result's shape, with the reduced axes at length 1. */
function kept({ node, input, g }: RuleContext, value: Value): Value {
  const shape = concreteShape(input(0));
  const axes = new Set(reducedAxes(node, shape.length));
  return g.reshape(
    value,
    shape.map((dim, axis) => (axes.has(axis) ? 1 : dim)),
  );
}

function reducedAxes(node: Node, rank: number): number[] {
  const constant = node.inputs[1]?.constant;
  const axes = constant ? toNumbers(constant) : [];
  if (axes.length > 0) return axes.map((axis) => (axis < 0 ? axis + rank : axis));
  return node.int('noop_with_empty_axes', 0) === 1 ? [] : Array.from({ length: rank }, (_, axis) => axis);
}
