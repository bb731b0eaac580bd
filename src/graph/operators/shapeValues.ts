import { type DType, toNumbers } from '../../onnx/tensor.js';
import { product, wrap } from '../dims.js';
import type { Dim, Node, Shape } from '../graph.js';
import { LONGEST_VECTOR } from '../integers.js';
import type { Operator, ShapeContext } from './operator.js';
import { filledNumbers, rangeOf } from './wholeNumbers.js';

// Operators that make values of shapes, or shapes of values.

export const constantOfShape: Operator = {
  op: 'ConstantOfShape',
  integerInputs: [0],
  shape: ({ numbers }) => numbers(0),
  dtype: constantType,
  integers: filledNumbers,
};

/** Numbers from a start up to a limit. */
export const range: Operator = {
  op: 'Range',
  required: 3,
  shape: (context) => {
    const range = rangeOf(context);
    return range && [range.count];
  },
  integers: (context) => {
    const { start, step, count } = rangeOf(context) ?? { start: 0, step: 0, count: Infinity };
    return count <= LONGEST_VECTOR ? Array.from({ length: count }, (_, index) => start + index * step) : undefined;
  },
};

/** How many elements a value has. */
export const size: Operator = {
  op: 'Size',
  shape: () => [],
  dtype: () => 'int64',
  integers: ({ node }) => {
    const count = node.inputs[0]?.shape && product(node.inputs[0].shape);
    return count === undefined ? undefined : [count];
  },
};

export const oneHot: Operator = {
  op: 'OneHot',
  required: 3,
  shape: oneHotShape,
  dtype: (node) => node.inputs[2]?.dtype,
};

export const shapeOperator: Operator = {
  op: 'Shape',
  shape: ({ node, shape }) => [window(node, shape(0)).length],
  dtype: () => 'int64',
  integers: ({ node }) => node.inputs[0]?.shape && window(node, node.inputs[0].shape),
};

/** The part of a shape that a Shape operator gives (operator set 15: `start`, `end`). */
function window(node: Node, shape: Shape): Shape {
  return shape.slice(node.int('start', 0), node.int('end', shape.length));
}

function constantType(node: Node): DType {
  const value = node.attributes.get('value');
  return value?.kind === 'tensor' ? value.value.dtype : 'float32';
}

function oneHotShape({ node, shape, numbers }: ShapeContext): Shape | undefined {
  // The depth may be of any number type, also floating point.
  const constant = node.inputs[1]?.constant;
  const depth = constant ? toNumbers(constant)[0] : numbers(1)?.[0];
  const from: Dim[] = [...shape(0)];
  if (depth === undefined) return undefined;
  from.splice(wrap(node.int('axis', -1), from.length + 1), 0, depth);
  return from;
}
