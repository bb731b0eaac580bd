import { toNumbers } from '../../onnx/tensor.js';
import { isNumber } from '../dims.js';
import { type Dim, type Node, showShape } from '../graph.js';
import type { Operator, ShapeContext } from './operator.js';

// What operators do to the few numbers that a graph computes from shapes: sizes, places and truth values (1 and 0).

type Integers = NonNullable<Operator['integers']>;

/** More numbers than these are data, not shapes. */
const MOST = 64;

/** Each number of the first input by itself; undefined where `calculate` gives nothing for one. */
export function eachNumber(calculate: (number: number, node: Node) => number | undefined): Integers {
  return ({ node, numbers }) => all(numbers(0)?.map((dim) => (isNumber(dim) ? calculate(dim, node) : undefined)));
}

/** Pairs of numbers of the first two inputs, one of which may be a single number. */
export function pairsOfNumbers(calculate: (a: Dim, b: Dim, node: Node) => Dim | undefined): Integers {
  return ({ node, numbers }) => {
    const [a, b] = [numbers(0), numbers(1)];
    if (!a || !b || node.inputs.length > 2 || !areInStep(node, [a, b])) return undefined;
    return all(together([a, b], ([x, y]) => (x === undefined || y === undefined ? undefined : calculate(x, y, node))));
  };
}

/** The first of two numbers where a condition holds, else the second. */
export const whereNumbers: Integers = ({ node, numbers }) => {
  const lists = [numbers(0), numbers(1), numbers(2)];
  if (!lists.every((list) => list !== undefined) || !areInStep(node, lists)) return undefined;
  return all(together(lists, ([condition, a, b]) => (isNumber(condition) ? (condition ? a : b) : undefined)));
};

/** Numbers between the second input and the third, as far as those are there. */
export const clippedNumbers: Integers = (context) => {
  const limit = (index: number, without: number) => {
    const [first] = context.node.inputs[index] ? (context.numbers(index) ?? []) : [without];
    return isNumber(first) ? first : undefined;
  };
  const [low, high] = [limit(1, -Infinity), limit(2, Infinity)];
  if (low === undefined || high === undefined) return undefined;
  return eachNumber((number) => Math.min(high, Math.max(low, number)))(context);
};

/** All numbers of an input without axes, or of a vector, combined into one. */
export function combinedNumbers(combine: (total: number, number: number) => number): Integers {
  return ({ node, numbers }) => {
    const list = numbers(0);
    if (!list || list.length === 0 || (node.inputs[0]?.shape?.length ?? 2) > 1 || !list.every(isNumber))
      return undefined;
    return [list.reduce((total, number) => combine(total, number))];
  };
}

/** So many numbers as a shape says, all the same. */
export const filledNumbers: Integers = ({ node, numbers }) => {
  const count = countOf(numbers(0));
  const value = node.attributes.get('value');
  const fill = value?.kind === 'tensor' ? toNumbers(value.value)[0] : 0;
  return count === undefined || fill === undefined ? undefined : Array.from({ length: count }, () => fill);
};

/** The numbers of the first input in the shape that the second says, where that only repeats a single one or keeps them all. */
export const expandedNumbers: Integers = ({ numbers }) => {
  const [list, count] = [numbers(0), countOf(numbers(1))];
  const [only] = list ?? [];
  if (!list || only === undefined || count === undefined) return undefined;
  if (list.length === 1) return Array.from({ length: Math.max(count, 1) }, () => only);
  return count === list.length || count === 1 ? list : undefined;
};

/** From the first input up to the second, in steps of the third. */
export function rangeOf({ numbers }: ShapeContext): { start: number; step: number; count: number } | undefined {
  const [start, limit, step] = [numbers(0)?.[0], numbers(1)?.[0], numbers(2)?.[0]];
  if (!isNumber(start) || !isNumber(limit) || !isNumber(step) || step === 0) return undefined;
  return { start, step, count: Math.max(0, Math.ceil((limit - start) / step)) };
}

/** Of numbers in a tensor of `shape` those at some places of each axis, row by row. */
export function takenNumbers(
  numbers: readonly Dim[],
  shape: readonly number[],
  places: readonly (readonly number[])[],
): Dim[] | undefined {
  let offsets = [0];
  shape.forEach((length, axis) => {
    const own = places[axis] ?? [];
    offsets = offsets.flatMap((offset) => own.map((place) => offset * length + place));
  });
  return all(offsets.map((offset) => numbers[offset]));
}

/** Numbers in a tensor of `shape` with its axes in another order. */
export function turnedNumbers(
  numbers: readonly Dim[],
  shape: readonly number[],
  order: readonly number[],
): Dim[] | undefined {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, dim) => product * dim, 1));
  let offsets = [0];
  for (const axis of order) {
    const [length = 0, stride = 0] = [shape[axis], strides[axis]];
    offsets = offsets.flatMap((offset) => Array.from({ length }, (_, place) => offset + place * stride));
  }
  return all(offsets.map((offset) => numbers[offset]));
}

function countOf(shape: readonly Dim[] | undefined): number | undefined {
  if (!shape?.every(isNumber)) return undefined;
  const count = shape.reduce((total, dim) => total * dim, 1);
  return count <= MOST ? count : undefined;
}

/** Whether lists of numbers pair up one by one: of equal shapes, but for those that hold a single number. */
function areInStep(node: Node, lists: readonly (readonly Dim[])[]): boolean {
  const shapes = node.inputs.map((input) => input?.shape && showShape(input.shape.filter((dim) => dim !== 1)));
  const long = lists.flatMap(({ length }, index) => (length === 1 ? [] : [index]));
  return long.every((index) => shapes[index] !== undefined && shapes[index] === shapes[long[0] ?? 0]);
}

function together<T>(lists: readonly (readonly Dim[])[], combine: (dims: readonly (Dim | undefined)[]) => T): T[] {
  const length = lists.some((list) => list.length === 0) ? 0 : Math.max(...lists.map((list) => list.length));
  return Array.from({ length }, (_, index) => combine(lists.map((list) => list[list.length === 1 ? 0 : index])));
}

function all(dims: readonly (Dim | undefined)[] | undefined): Dim[] | undefined {
  return dims?.every((dim) => dim !== undefined) ? [...dims] : undefined;
}
