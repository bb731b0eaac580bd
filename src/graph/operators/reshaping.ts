import { isNumber, product, quotient, whole, wrap } from '../dims.js';
import { type Dim, describe, sameDim, type Shape, showShape } from '../graph.js';
import type { Operator, ShapeContext } from './operator.js';

// Operators that keep the numbers and their order, and say another shape.

export const flatten: Operator = { op: 'Flatten', isAlias: true, shape: flattened };

export const reshape: Operator = {
  op: 'Reshape',
  required: 2,
  integerInputs: [1],
  isAlias: true,
  shape: reshaped,
  integers: ({ numbers }) => numbers(0),
  laterAttributes: { allowzero: { since: 14, usual: 0 } },
};

export const squeeze: Operator = {
  op: 'Squeeze',
  isAlias: true,
  shape: squeezed,
  integers: ({ numbers }) => numbers(0),
  onceAttributes: { until: 13, kinds: { axes: 'ints' } },
};

export const unsqueeze: Operator = {
  op: 'Unsqueeze',
  isAlias: true,
  shape: unsqueezed,
  integers: ({ numbers }) => numbers(0),
  onceAttributes: { until: 13, kinds: { axes: 'ints' } },
};

function flattened({ node, shape }: ShapeContext): Shape | undefined {
  const from = shape(0);
  const axis = wrap(node.int('axis', 1), from.length);
  const [rows, columns] = [product(from.slice(0, axis)), product(from.slice(axis))];
  return rows === undefined || columns === undefined ? undefined : [rows, columns];
}

function reshaped({ node, shape, numbers }: ShapeContext): Shape | undefined {
  const from = shape(0);
  const keepsZero = node.int('allowzero', 0) === 1;
  const target = numbers(1)?.map((dim, axis) => (dim === 0 && !keepsZero ? (from[axis] ?? 0) : dim));
  const total = product(from);
  if (!target || total === undefined) return undefined;
  const open = target.indexOf(-1);
  const given = product(target.filter((_, axis) => axis !== open));
  if (given === undefined) return undefined;
  const refuse = () => new Error(`${describe(node)} cannot give ${showShape(from)} the shape ${showShape(target)}`);
  if (open >= 0) {
    const rest = quotient(total, given);
    const back = rest === undefined ? undefined : product([rest, given]);
    if (rest === undefined || back === undefined || !sameDim(back, total)) throw refuse();
    return target.map((dim, axis) => (axis === open ? rest : dim));
  }
  if (sameDim(given, total)) return target;
  // A file that was exported for a batch of 1 says 1 where the batch belongs.
  if (target[0] === 1 && !isNumber(total) && isNumber(given) && total.batch === given)
    return [{ batch: 1 }, ...target.slice(1)];
  throw refuse();
}

function squeezed({ node, shape, numbers }: ShapeContext): Shape | undefined {
  const from = shape(0);
  if (!node.inputs[1]) return from.filter((dim) => dim !== 1);
  const axes = numbers(1)?.map((axis) => wrap(whole(node, axis), from.length));
  return axes && from.filter((_, axis) => !axes.includes(axis));
}

function unsqueezed({ node, shape, numbers }: ShapeContext): Shape | undefined {
  const from = shape(0);
  const axes = numbers(1);
  if (!axes) return undefined;
  const result: Dim[] = [...from];
  const places = axes.map((axis) => wrap(whole(node, axis), from.length + axes.length)).sort((a, b) => a - b);
  for (const place of places) result.splice(place, 0, 1);
  return result;
}
