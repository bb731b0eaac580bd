import { bindDim, type Dim, describe, type Node, sameDim, type Shape, showShape } from '../graph.js';
import type { Operator, ShapeContext } from './operator.js';

/** What an Einsum's equation says: a letter for each axis of each input, and of the result. */
export interface Equation {
  readonly inputs: readonly string[];
  readonly output: string;
}

/** Sums over products of elements, along the axes that its equation names. */
export const einsum: Operator = {
  op: 'Einsum',
  isOfOneType: true,
  shape: einsumShape,
  multiplyAdds: (node, batch) => {
    const shapes = node.inputs.map((input) => input?.shape ?? []);
    const dims = dimsByLetter(node, equationOf(node, shapes), shapes);
    return [...dims.values()].reduce<number>((total, dim) => total * bindDim(dim, batch), 1);
  },
};

/**
 * The equation of a node for inputs of these shapes, with letters in place of an ellipsis and of a result that goes without saying.
 * @throws Error for an equation that does not fit them, or that takes a diagonal.
 */
export function equationOf(node: Node, shapes: readonly Shape[]): Equation {
  const text = node.string('equation', '').replaceAll(/\s/g, '');
  const refuse = () =>
    new Error(
      `${describe(node)} has the equation "${text}", which does not fit ${shapes.map(showShape).join(' and ')}`,
    );
  const [left = '', right] = text.split('->');
  const terms = left.split(',');
  if (terms.length !== shapes.length) throw refuse();
  const hidden = terms.map((term, index) =>
    term.includes('...') ? (shapes[index]?.length ?? 0) - (term.length - 3) : 0,
  );
  const free = Array.from('abcdefghijklmnopqrstuvwxyz').filter((letter) => !text.includes(letter));
  const letters = free.slice(0, Math.max(...hidden));
  if (letters.length < Math.max(...hidden) || Math.min(...hidden) < 0) throw refuse();
  const spell = (term: string, count: number) => term.replace('...', letters.slice(letters.length - count).join(''));
  const inputs = terms.map((term, index) => spell(term, hidden[index] ?? 0));
  const once = [...new Set(left.replaceAll(/[.,]/g, ''))].filter((letter) => left.split(letter).length === 2).sort();
  const output = spell(right ?? `...${once.join('')}`, letters.length);
  const isFitting = inputs.every(
    (term, index) => term.length === shapes[index]?.length && new Set(term).size === term.length,
  );
  if (
    !isFitting ||
    new Set(output).size !== output.length ||
    Array.from(output).some((letter) => !inputs.join('').includes(letter))
  )
    throw refuse();
  return { inputs, output };
}

function einsumShape({ node, shape }: ShapeContext): Shape {
  const shapes = node.inputs.map((_, index) => shape(index));
  const equation = equationOf(node, shapes);
  const dims = dimsByLetter(node, equation, shapes);
  return Array.from(equation.output).map((letter) => dims.get(letter) ?? 1);
}

function dimsByLetter(node: Node, { inputs }: Equation, shapes: readonly Shape[]): Map<string, Dim> {
  const dims = new Map<string, Dim>();
  inputs.forEach((term, index) => {
    Array.from(term).forEach((letter, axis) => {
      const [known, dim] = [dims.get(letter), shapes[index]?.[axis] ?? 1];
      if (known !== undefined && !sameDim(known, dim))
        throw new Error(`${describe(node)} cannot multiply ${shapes.map(showShape).join(' and ')}`);
      dims.set(letter, dim);
    });
  });
  return dims;
}
