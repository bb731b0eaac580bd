import { UserError } from '../../errors.js';
import { describe, type Node, Value } from '../../graph/graph.js';
import { toNumbers } from '../../onnx/tensor.js';
import { indicator } from '../piecewise.js';
import type { GradientRule } from '../rule.js';

/**
 * y = x / (1 − ratio) where the mask holds, 0 elsewhere  ⇒  dx = dy / (1 − ratio) there. The mask is the operator's second
 * output; outside training mode, y is x.
 */
export const dropout: GradientRule = {
  op: 'Dropout',
  gradients: ({ node, output, dy, g }) => [
    () => {
      if (numberOf(node, 2, 0) === 0) return dy;
      const ratio = numberOf(node, 1, 0.5);
      if (!node.outputs[1]) {
        const mask = new Value(g.uniqueName('Dropout_mask'), 'bool', output().shape);
        mask.producer = node;
        node.outputs[1] = mask;
      }
      return g.mul(g.mul(dy, g.scalar(ratio < 1 ? 1 / (1 - ratio) : 0)), indicator(g, output(1)));
    },
    undefined,
    undefined,
  ],
};

/** The constant input `index`. @throws UserError `no-gradient-rule` where it is computed. */
function numberOf(node: Node, index: number, fallback: number): number {
  const value = node.inputs[index];
  if (!value) return fallback;
  const number = value.constant && toNumbers(value.constant)[0];
  if (number === undefined) {
    throw new UserError(
      'no-gradient-rule',
      `${describe(node)} computes its ratio or its mode ("${value.name}"), and so has no gradient; choose a policy that stops after it`,
    );
  }
  return number;
}
