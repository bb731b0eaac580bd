import { UserError } from '../../errors.js';
import { concreteShape, describe, type Node } from '../../graph/graph.js';
import { toNumbers } from '../../onnx/tensor.js';
import { selection, transposed } from '../linearMap.js';
import type { GradientRule } from '../rule.js';

/**
 * y = x with more round it  ⇒  dx = the middle of dy; where the rim repeats places of x (reflect, edge, wrap), with their
 * gradients added.
 */
export const pad: GradientRule = {
  op: 'Pad',
  gradients: ({ node, input, dy, g }) => [
    () => {
      const shape = concreteShape(input(0));
      const mode = node.string('mode', 'constant');
      let gradient = dy;
      padsOf(node, shape).forEach(({ axis, begin, end }) => {
        const length = shape[axis] ?? 0;
        if (begin === 0 && end === 0) return;
        if (mode === 'constant' && begin >= 0 && end >= 0) {
          gradient = g.slice(gradient, [begin], [begin + length], [axis]);
          return;
        }
        const places = Array.from({ length: begin + length + end }, (_, index) => placeOf(mode, index - begin, length));
        gradient = transposed(g, selection(length, places), gradient, axis);
      });
      return gradient;
    },
    undefined,
    undefined,
    undefined,
  ],
};

/** Which place of x stands at `index`, counted from x's begin; undefined for a constant. */
function placeOf(mode: string, index: number, length: number): number | undefined {
  if (index >= 0 && index < length) return index;
  switch (mode) {
    case 'edge':
      return index < 0 ? 0 : length - 1;
    case 'wrap':
      return ((index % length) + length) % length;
    case 'reflect': {
      const period = Math.max(1, 2 * (length - 1));
      const place = ((index % period) + period) % period;
      return place < length ? place : period - place;
    }
    default:
      return undefined;
  }
}

function padsOf(node: Node, shape: readonly number[]): { axis: number; begin: number; end: number }[] {
  const constant = (index: number): number[] | undefined => {
    const value = node.inputs[index];
    if (!value) return undefined;
    if (value.constant) return toNumbers(value.constant);
    throw new UserError(
      'no-gradient-rule',
      `${describe(node)} computes how much it pads ("${value.name}"), and so has no gradient; choose a policy that stops after it`,
    );
  };
  const pads = constant(1) ?? [];
  const axes = constant(3) ?? shape.map((_, axis) => axis);
  return axes.map((axis, index) => ({
    axis: (axis + shape.length) % shape.length,
    begin: pads[index] ?? 0,
    end: pads[index + axes.length] ?? 0,
  }));
}
