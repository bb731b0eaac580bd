import { UserError } from '../../errors.js';
import { concreteShape, describe, type Node } from '../../graph/graph.js';
import { toNumbers } from '../../onnx/tensor.js';
import { selection, transposed } from '../linearMap.js';
import type { GradientRule } from '../rule.js';

/** y = a part of x  ⇒  dx = dy there, 0 elsewhere. */
export const slice: GradientRule = {
  op: 'Slice',
  gradients: ({ node, input, dy, g }) => [
    () => {
      const shape = concreteShape(input(0));
      const result = concreteShape(dy);
      const pads = shape.map(() => [0, 0] as [number, number]);
      let gradient = dy;
      for (const { axis, start, step } of windowsOf(node, shape)) {
        const [length, count] = [shape[axis] ?? 0, result[axis] ?? 0];
        if (step === 1) pads[axis] = [start, length - start - count];
        else
          gradient = transposed(
            g,
            selection(
              length,
              Array.from({ length: count }, (_, index) => start + index * step),
            ),
            gradient,
            axis,
          );
      }
      const [before, after] = [pads.map(([begin]) => begin), pads.map(([, end]) => end)];
      return [...before, ...after].some((n) => n !== 0) ? g.pad(gradient, [...before, ...after]) : gradient;
    },
    ...[1, 2, 3, 4].map(() => undefined),
  ],
};

/** Where the slices of a node begin, along which axes, and in what steps. */
function windowsOf(node: Node, shape: readonly number[]): { axis: number; start: number; step: number }[] {
  const constant = (index: number): number[] | undefined => {
    const value = node.inputs[index];
    if (!value) return undefined;
    if (value.constant) return toNumbers(value.constant);
    throw new UserError(
      'no-gradient-rule',
      `${describe(node)} computes where it cuts ("${value.name}"), and so has no gradient; choose a policy that stops after it`,
    );
  };
  const starts = constant(1) ?? [];
  const axes = constant(3) ?? starts.map((_, index) => index);
  const steps = constant(4) ?? starts.map(() => 1);
  return starts.map((start, index) => {
    const axis = ((axes[index] ?? 0) + shape.length) % shape.length;
    const step = steps[index] ?? 1;
    const length = shape[axis] ?? 0;
    const from = start < 0 ? start + length : start;
    return { axis, step, start: Math.max(0, Math.min(step < 0 ? length - 1 : length, from)) };
  });
}
