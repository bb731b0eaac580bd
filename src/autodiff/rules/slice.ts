import { concreteShape } from '../../graph/graph.js';
import { constantNumbers } from '../constants.js';
import type { GradientRule } from '../rule.js';
import { spread } from '../spread.js';

/**
 * y = every step-th x from a start on  ⇒  dx = dy, spread out by the steps, with zeros before and after. A negative step reads
 * backwards, so dy is turned round first.
 */
export const slice: GradientRule = {
  op: 'Slice',
  gradients: ({ node, input, output, dy, g }) => [
    () => {
      const [from, to] = [concreteShape(input(0)), concreteShape(output())];
      const starts = constantNumbers(node, 1, 'starts') ?? [];
      const axes = (constantNumbers(node, 3, 'axes') ?? starts.map((_, index) => index)).map((axis) =>
        axis < 0 ? axis + from.length : axis,
      );
      const steps = constantNumbers(node, 4, 'steps') ?? starts.map(() => 1);
      const backwards = axes.filter((_, index) => (steps[index] ?? 1) < 0);
      const forwards =
        backwards.length === 0
          ? dy
          : g.slice(
              dy,
              backwards.map(() => -1),
              backwards.map((axis) => -(to[axis] ?? 0) - 1),
              backwards,
              backwards.map(() => -1),
            );
      const strides = new Map(axes.map((axis, index) => [axis, Math.abs(steps[index] ?? 1)]));
      const before = from.map(() => 0);
      axes.forEach((axis, index) => {
        const [length = 0, count = 0] = [from[axis], to[axis]];
        const [start = 0, step = 1] = [starts[index], steps[index]];
        const wrapped = start < 0 ? start + length : start;
        const first = step < 0 ? Math.min(wrapped, length - 1) + (count - 1) * step : Math.max(wrapped, 0);
        before[axis] = first;
      });
      const after = from.map(
        (length, axis) => length - (before[axis] ?? 0) - (to[axis] ?? 0) * (strides.get(axis) ?? 1),
      );
      const all = [...before, ...after];
      const dilated = spread(g, forwards, strides);
      return all.every((count) => count === 0) ? dilated : g.pad(dilated, all);
    },
    undefined,
    undefined,
    undefined,
    undefined,
  ],
};
