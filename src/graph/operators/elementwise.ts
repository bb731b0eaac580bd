import { type DType, dtypeOfCode } from '../../onnx/tensor.js';
import type { Node } from '../graph.js';
import { checkStretches } from '../nodeChecks.js';
import type { Operator } from './operator.js';
import { eachNumber } from './wholeNumbers.js';

/** An operator whose result has its input's shape, and of which there is no more to know than `facts`. */
export function sameShape(op: string, facts: Omit<Operator, 'op' | 'shape'> = {}): Operator {
  return { op, shape: ({ shape }) => shape(0), ...facts };
}

/** An activation, or another function of each element by itself. */
export function elementwise(op: string, facts: Omit<Operator, 'op' | 'shape'> = {}): Operator {
  return sameShape(op, { works: 'elementwise', ...facts });
}

const WHOLE: ReadonlySet<DType | undefined> = new Set<DType>(['int8', 'int16', 'int32', 'int64']);
const isWhole = (node: Node) => WHOLE.has(dtypeOfCode(node.int('to', 1))) && node.inputs[0]?.dtype?.startsWith('float');
const truncated = eachNumber(Math.trunc);

/** Its slope for each channel, or for all of them, is stretched to x alone. */
export const prelu: Operator = sameShape('PRelu', {
  required: 2,
  isOfOneType: true,
  broadcasts: true,
  check: (node) => checkStretches(node, 1, node.input(0).shape),
});

export const cast: Operator = sameShape('Cast', {
  dtype: (node) => dtypeOfCode(node.int('to', 1)),
  integers: (context) => (isWhole(context.node) ? truncated(context) : context.numbers(0)),
  laterAttributes: { saturate: { since: 19, usual: 1 } },
});

export const dropout: Operator = sameShape('Dropout', {
  otherDTypes: ['bool'],
  passesOn: true,
  upgrade: (node) => {
    // Only its first input matters where it passes on. The ratio was an attribute before operator set 12.
    node.inputs = node.inputs.slice(0, 1);
    node.attributes = new Map();
  },
});
