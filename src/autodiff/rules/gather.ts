import type { Builder } from '../../graph/builder.js';
import { concreteShape, text, type Value } from '../../graph/graph.js';
import { intTensor } from '../../onnx/tensor.js';
import { selection, transposedMaps } from '../axisMap.js';
import { constantNumbers } from '../constants.js';
import type { GradientRule } from '../rule.js';

/** A larger matrix, 4 MB of it, costs more than to add rows up one by one. */
const LARGEST_SELECTION = 2 ** 20;

/** The slices of `dy` along an axis, each added at one of `indices` of an axis of `length`. */
function addedUp(g: Builder, dy: Value, axis: number, length: number, indices: readonly number[]): Value {
  const shape = concreteShape(dy);
  const order = [axis, ...shape.flatMap((_, each) => (each === axis ? [] : [each]))];
  const rows = axis === 0 ? dy : g.transpose(dy, order);
  const rest = shape.filter((_, each) => each !== axis);
  const zeros = g.expand(g.scalar(0), [length, ...rest]);
  const places = g.constant('rows_of', intTensor([indices.length, 1], indices));
  const sum = g.op('ScatterND', [zeros, places, rows], { reduction: text('add') });
  return axis === 0 ? sum : g.transpose(sum, inverse(order));
}

const inverse = (order: readonly number[]) => order.map((_, axis) => order.indexOf(axis));

/**
 * y = x at some indices of an axis  ⇒  dx = dy, added up at those indices. Indices that only change the order (a channel
 * shuffle) are undone by another Gather, a single one by zeros round it; others by a product with the constant matrix that selects them.
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
      const [index] = indices;
      if (index !== undefined && indices.length === 1) {
        const before = shape.map((_, each) => (each === axis ? index : 0));
        const behind = shape.map((_, each) => (each === axis ? length - 1 - index : 0));
        return g.pad(flat, [...before, ...behind]);
      }
      if (indices.length * length > LARGEST_SELECTION) return addedUp(g, flat, axis, length, indices);
      return transposedMaps(g, flat, [selection(axis, length, indices)]);
    },
    undefined,
  ],
};
