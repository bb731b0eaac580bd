import { Value } from '../../graph/graph.js';
import { constantNumbers } from '../constants.js';
import { indicator } from '../piecewise.js';
import type { GradientRule } from '../rule.js';

/**
 * y = x / (1 − ratio) where the mask holds, 0 elsewhere, 0 ≤ ratio < 1  ⇒  dx = dy / (1 − ratio) there. The mask is the operator's second
 * output; outside training mode, y is x.
 */
export const dropout: GradientRule = {
  op: 'Dropout',
  gradients: ({ node, output, dy, g }) => [
    () => {
      if ((constantNumbers(node, 2, 'mode')?.[0] ?? 0) === 0) return dy;
      const ratio = constantNumbers(node, 1, 'ratio')?.[0] ?? 0.5;
      if (!node.outputs[1]) {
        const mask = new Value(g.uniqueName('Dropout_mask'), 'bool', output().shape);
        mask.producer = node;
        node.outputs[1] = mask;
      }
      return g.mul(g.mul(dy, g.scalar(1 / (1 - ratio))), indicator(g, output(1)));
    },
    undefined,
    undefined,
  ],
};
