import { broadcastShapes } from '../broadcast.js';
import { at, isNumber, product, quotient } from '../dims.js';
import { type Dim, describe, type Shape, showShape } from '../graph.js';
import type { Operator, ShapeContext } from './operator.js';

/** An operator that stretches its inputs to each other's shapes. */
export function broadcasting(op: string, facts: Omit<Operator, 'op' | 'shape' | 'broadcasts'> = {}): Operator {
  return { op, shape: broadcast, broadcasts: true, ...facts };
}

/** A comparison or a logical operator: its result is true or false. */
export function comparing(op: string): Operator {
  return broadcasting(op, { required: 2, dtype: () => 'bool' });
}

/** Addition, subtraction, multiplication or division; `calculate` does the same to dimensions. */
function calculating(op: string, calculate: (a: Dim, b: Dim) => Dim | undefined): Operator {
  return broadcasting(op, {
    required: 2,
    isOfOneType: true,
    works: 'pairwise',
    integers: ({ numbers }) => {
      const [a, b] = [numbers(0), numbers(1)];
      return a && b && eachOf(a, b, calculate);
    },
  });
}

const onNumbers = (calculate: (a: number, b: number) => number) => (a: Dim, b: Dim) =>
  isNumber(a) && isNumber(b) ? calculate(a, b) : undefined;

// ONNX Runtime's CPU provider has Add and Mul in whole numbers too.
export const add: Operator = {
  ...calculating(
    'Add',
    onNumbers((a, b) => a + b),
  ),
  inWholeNumbers: true,
};
export const sub: Operator = calculating(
  'Sub',
  onNumbers((a, b) => a - b),
);
export const mul: Operator = { ...calculating('Mul', (a, b) => product([a, b])), inWholeNumbers: true };
export const div: Operator = calculating('Div', quotient);

export const where: Operator = broadcasting('Where', { required: 3, dtype: (node) => node.inputs[1]?.dtype });

function broadcast({ node, shape }: ShapeContext): Shape {
  const shapes = node.inputs.flatMap((input, index) => (input ? [shape(index)] : []));
  const result = broadcastShapes(shapes);
  if (!result) throw new Error(`${describe(node)} cannot broadcast ${shapes.map(showShape).join(' and ')}`);
  return result;
}

/** Pairs up two vectors, one of which may be a single number, and calculates; undefined where one pair gives nothing. */
function eachOf(
  a: readonly Dim[],
  b: readonly Dim[],
  calculate: (a: Dim, b: Dim) => Dim | undefined,
): Dim[] | undefined {
  const results = Array.from({ length: Math.max(a.length, b.length) }, (_, index) =>
    calculate(at(a, a.length === 1 ? 0 : index), at(b, b.length === 1 ? 0 : index)),
  );
  return results.every((dim) => dim !== undefined) ? results : undefined;
}
