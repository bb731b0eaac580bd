import { UserError } from '../../errors.js';
import { concreteShape, describe } from '../../graph/graph.js';
import { toNumbers } from '../../onnx/tensor.js';
import { selection, transposed } from '../linearMap.js';
import type { GradientRule } from '../rule.js';

/** y = x at constant places of an axis  ⇒  dy is added to where it came from; a permutation is undone by another Gather. */
export const gather: GradientRule = {
  op: 'Gather',
  gradients: ({ node, input, dy, g }) => [
    () => {
      const indices = input(1);
      if (!indices.constant) {
        throw new UserError(
          'no-gradient-rule',
          `${describe(node)} computes which places it takes ("${indices.name}"), and so has no gradient; choose a policy that stops after it`,
        );
      }
      const shape = concreteShape(input(0));
      const axis = (node.int('axis', 0) + shape.length) % shape.length;
      const length = shape[axis] ?? 0;
      const places = toNumbers(indices.constant).map((index) => (index < 0 ? index + length : index));
      const flat = g.reshape(dy, [...shape.slice(0, axis), places.length, ...shape.slice(axis + 1)]);
      const isPermutation = places.length === length && new Set(places).size === length;
      if (isPermutation) {
        const back = places.map((_, index) => places.indexOf(index));
        return g.gather(flat, g.vector(back), axis);
      }
      return transposed(g, selection(length, places), flat, axis);
    },
    undefined,
  ],
};
