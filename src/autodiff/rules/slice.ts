import type { Builder } from '../../graph/builder.js';
import { concreteShape, type Node, type Value } from '../../graph/graph.js';
import { constantNumbers } from '../constants.js';
import { reversed } from '../reversed.js';
import type { GradientRule } from '../rule.js';

/**
 * y = every step-th x from a start on  ⇒  dx = dy, spread out by the steps, with zeros before and after. A negative step reads
 * backwards, so dy is turned round first.
 */
export const slice: GradientRule = {
  op: 'Slice',
  gradients: ({ node, input, output, dy, g }) => [
    () => {
      const shape = concreteShape(input(0));
      const windows = windowsOf(node, shape, concreteShape(output()));
      const backwards = windows.filter(({ step }) => step < 0).map(({ axis }) => axis);
      const strides = new Map(windows.map(({ axis, step }) => [axis, Math.abs(step)]));
      const dilated = spread(g, reversed(g, dy, backwards), strides);
      const before = shape.map((_, axis) => windows.find((window) => window.axis === axis)?.first ?? 0);
      const after = concreteShape(dilated).map((dim, axis) => (shape[axis] ?? 0) - (before[axis] ?? 0) - dim);
      const pads = [...before, ...after];
      return pads.every((count) => count === 0) ? dilated : g.pad(dilated, pads);
    },
    undefined,
    undefined,
    undefined,
    undefined,
  ],
};

interface Window {
  readonly axis: number;
  readonly step: number;
  /** The first index that is read, in x's own order. */
  readonly first: number;
}

function windowsOf(node: Node, from: readonly number[], to: readonly number[]): Window[] {
  const starts = constantNumbers(node, 1, 'starts') ?? [];
  const axes = constantNumbers(node, 3, 'axes') ?? starts.map((_, index) => index);
  const steps = constantNumbers(node, 4, 'steps') ?? starts.map(() => 1);
  return axes.map((place, index) => {
    const axis = place < 0 ? place + from.length : place;
    const [length = 0, count = 0] = [from[axis], to[axis]];
    const [start = 0, step = 1] = [starts[index], steps[index]];
    const wrapped = start < 0 ? start + length : start;
    const first = step < 0 ? Math.min(wrapped, length - 1) + (count - 1) * step : Math.max(wrapped, 0);
    return { axis, step, first };
  });
}

/** `x` with stride − 1 zeros after each element of some axes (axis → stride): a length n becomes n · stride. */
function spread(g: Builder, x: Value, strides: ReadonlyMap<number, number>): Value {
  const shape = concreteShape(x);
  const strideOf = (axis: number) => strides.get(axis) ?? 1;
  if (shape.every((_, axis) => strideOf(axis) === 1)) return x;
  // Each axis that is spread gets an axis of length 1 after it, which is padded to the stride.
  const cells = shape.flatMap((dim, axis) => (strideOf(axis) === 1 ? [dim] : [dim, 1]));
  const after = shape.flatMap((_, axis) => (strideOf(axis) === 1 ? [0] : [0, strideOf(axis) - 1]));
  const filled = g.pad(g.reshape(x, cells), [...cells.map(() => 0), ...after]);
  return g.reshape(
    filled,
    shape.map((dim, axis) => dim * strideOf(axis)),
  );
}
