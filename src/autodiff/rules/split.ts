import { concreteShape } from '../../graph/graph.js';
import { floatTensor } from '../../onnx/tensor.js';
import type { GradientRule } from '../rule.js';

/** [a, b, …] = x along an axis  ⇒  dx = their gradients along that axis, zeros for a part that nothing reads. */
export const split: GradientRule = {
  op: 'Split',
  gradients: ({ node, input, output, dOutputs, g }) => [
    () => {
      const rank = concreteShape(input(0)).length;
      const axis = (node.int('axis', 0) + rank) % rank;
      const parts = node.outputs.map((part, index) => {
        const gradient = dOutputs[index];
        if (gradient) return gradient;
        const shape = concreteShape(part ?? output(index));
        return g.constant('zeros', floatTensor(shape, new Float32Array(shape.reduce((count, dim) => count * dim, 1))));
      });
      return g.concat(parts, axis);
    },
    undefined,
  ],
};
