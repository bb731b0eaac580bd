import { concreteShape, text } from '../../graph/graph.js';
import { equationOf } from '../../graph/operators/equations.js';
import type { GradientRule } from '../rule.js';

/**
 * y = Σ a·b·… over the letters that the result lacks  ⇒  da = Σ dy·b·… over the letters that a lacks, and the same along those that
 * a alone has.
 */
export const einsum: GradientRule = {
  op: 'Einsum',
  gradients: ({ node, input, dy, g }) => {
    const shapes = node.inputs.map((_, index) => concreteShape(input(index)));
    const { inputs, output } = equationOf(node, shapes);
    return inputs.map((term, index) => () => {
      const others = inputs.flatMap((_, at) => (at === index ? [] : [at]));
      const terms = [output, ...others.map((at) => inputs[at] ?? '')];
      const kept = Array.from(term).filter((letter) => terms.some((each) => each.includes(letter)));
      const gradient = g.op('Einsum', [dy, ...others.map((at) => input(at))], {
        equation: text(`${terms.join(',')}->${kept.join('')}`),
      });
      if (kept.length === term.length) return gradient;
      const shape = shapes[index] ?? [];
      const stretched = Array.from(term).map((letter, axis) => (kept.includes(letter) ? (shape[axis] ?? 1) : 1));
      return g.expand(g.reshape(gradient, stretched), shape);
    });
  },
};
