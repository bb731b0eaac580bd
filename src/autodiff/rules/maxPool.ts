import { UserError } from '../../errors.js';
import { concreteShape, describe, int, text, Value } from '../../graph/graph.js';
import { elementCount, floatTensor } from '../../onnx/tensor.js';
import type { GradientRule } from '../rule.js';

/**
 * y = the largest x of each window  ⇒  dy is added to where that x was. The operator's second output says where, as
 * positions in all of x, N and C included.
 */
export const maxPool: GradientRule = {
  op: 'MaxPool',
  gradients: ({ node, input, output, dy, g }) => [
    () => {
      if (node.int('storage_order', 0) === 1) {
        throw new UserError(
          'no-gradient-rule',
          `${describe(node)} counts its positions by columns, and so has no gradient; choose a policy that stops after it`,
        );
      }
      const shape = concreteShape(input(0));
      const count = elementCount(shape);
      if (!node.outputs[1]) {
        const indices = new Value(g.uniqueName('MaxPool_indices'), 'int64', output().shape);
        indices.producer = node;
        node.outputs[1] = indices;
      }
      const zeros = g.constant('zeros', floatTensor([count], new Float32Array(count)));
      const places = g.reshape(output(1), [-1]);
      const scattered = g.op('ScatterElements', [zeros, places, g.reshape(dy, [-1])], {
        axis: int(0),
        reduction: text('add'),
      });
      return g.reshape(scattered, shape);
    },
  ],
};
