import { concreteShape } from '../../graph/graph.js';
import { elementCount } from '../../onnx/tensor.js';
import type { GradientRule } from '../rule.js';

/** y = mean of x over space  ⇒  dx = dy / area, everywhere. */
export const globalAveragePool: GradientRule = {
  op: 'GlobalAveragePool',
  gradients: ({ input, dy, g }) => [
    () => {
      const shape = concreteShape(input(0));
      return g.expand(g.mul(dy, g.scalar(1 / elementCount(shape.slice(2)))), shape);
    },
  ],
};
