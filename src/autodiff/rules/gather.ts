import { concreteShape } from '../../graph/graph.js';
import { intTensor } from '../../onnx/tensor.js';
import { selection, transposedMaps } from '../axisMap.js';
import { constantNumbers } from '../constants.js';
import type { GradientRule } from '../rule.js';

/**
 * y = x at some indices of an axis  ⇒  dx = dy, added up at those indices. Indices that only change the order (a channel
 * shuffle) are undone by another Gather; others by a product with the constant matrix that selects them.
 */
export const gather: GradientRule = {
  op: 'Gather',
  gradients: ({ node, input, dy, g }) => [
    () => {
      const shape = concreteShape(input(0));
      const axis = (node.int('axis', 0) + shape.length) % shape.length;
      const length = shape[axis] ?? 0;
      const indices = (constantNumbers(node, 1, 'indices') ?? []).map((index) => (index < 0 ? index + length : index));
      const flat = g.reshape(dy, [...shape.slice(0, axis), indices.length, ...shape.slice(axis + 1)]);
      if (indices.length === length && new Set(indices).size === length) {
        const inverse = indices.map((_, index) => indices.indexOf(index));
        return g.gather(flat, g.constant('inverse_order', intTensor([length], inverse)), axis);
      }
      return transposedMaps(g, flat, [selection(axis, length, indices)]);
    },
    undefined,
  ],
};
