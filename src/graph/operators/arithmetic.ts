import { broadcastShapes } from '../broadcast.js';
import { isNumber, product, quotient } from '../dims.js';
import { type Dim, describe, type Node, type Shape, showShape, type Value } from '../graph.js';
import type { Operator, ShapeContext } from './operator.js';
import { pairsOfNumbers, whereNumbers } from './wholeNumbers.js';

/** An operator that stretches its inputs to each other's shapes. */
export function broadcasting(op: string, facts: Omit<Operator, 'op' | 'shape' | 'broadcasts'> = {}): Operator {
  return { op, shape: broadcast, broadcasts: true, ...facts };
}

/** A comparison or a logical operator: its result is true or false; `holds` does the same to numbers. */
export function comparing(op: string, holds: (a: number, b: number) => boolean): Operator {
  return broadcasting(op, {
    required: 2,
    dtype: () => 'bool',
    integers: pairsOfNumbers((a, b) => {
      if (isNumber(a) && isNumber(b)) return holds(a, b) ? 1 : 0;
      // No batch is empty.
      const other = isNumber(a) ? a : isNumber(b) ? b : NaN;
      return op === 'Equal' && other < 1 ? 0 : undefined;
    }),
  });
}

/** Addition, subtraction, multiplication or division; `calculate` does the same to dimensions. */
function calculating(op: string, calculate: (a: Dim, b: Dim, node: Node) => Dim | undefined): Operator {
  return broadcasting(op, {
    required: 2,
    isOfOneType: true,
    works: 'pairwise',
    integers: pairsOfNumbers(calculate),
  });
}

/** An operator that does to each two numbers what `calculate` does. */
export function ofTwoNumbers(op: string, calculate: (a: number, b: number, node: Node) => number): Operator {
  return broadcasting(op, {
    required: 2,
    integers: pairsOfNumbers((a, b, node) => (isNumber(a) && isNumber(b) ? calculate(a, b, node) : undefined)),
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
export const div: Operator = calculating('Div', (a, b, node) => {
  if (!isNumber(a) || !isNumber(b)) return quotient(a, b);
  const ratio = a / b;
  return isFloating(node.inputs[0]) ? ratio : Math.trunc(ratio);
});

/** The remainder has the divisor's sign, or with `fmod` the dividend's. */
export const mod: Operator = ofTwoNumbers('Mod', (a, b, node) =>
  node.int('fmod', 0) === 1 ? a % b : a - Math.floor(a / b) * b,
);

export const where: Operator = broadcasting('Where', {
  required: 3,
  dtype: (node) => node.inputs[1]?.dtype,
  integers: whereNumbers,
});

const isFloating = (value: Value | undefined) => value?.dtype?.startsWith('float') === true;

function broadcast({ node, shape }: ShapeContext): Shape {
  const shapes = node.inputs.flatMap((input, index) => (input ? [shape(index)] : []));
  const result = broadcastShapes(shapes);
  if (!result) throw new Error(`${describe(node)} cannot broadcast ${shapes.map(showShape).join(' and ')}`);
  return result;
}
