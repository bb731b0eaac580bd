import { type Dim, describe, type Node } from './graph.js';

/** Whether a dimension is the same for every batch size. */
export const isNumber = (dim: Dim | undefined): dim is number => typeof dim === 'number';

/** Element `index` of a list. @throws Error where there is none. */
export function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`there is no item ${index} of ${list.length}`);
  return item;
}

/** The axis that `axis`, counted from the end where it is negative, means among `rank`. @throws Error where there is none. */
export function wrap(axis: number, rank: number): number {
  if (!(axis >= -rank && axis <= rank)) throw new Error(`there is no axis ${axis} of ${rank}`);
  return axis < 0 ? axis + rank : axis;
}

/** `dim` as a number. @throws Error that names `node` where it is not known, or depends on the batch size. */
export function whole(node: Node, dim: Dim | undefined): number {
  if (isNumber(dim)) return dim;
  throw new Error(`${describe(node)} works along the batch, which ort-tl cannot follow`);
}

/** The product of dimensions; undefined when two of them depend on the batch size. */
export function product(dims: readonly Dim[]): Dim | undefined {
  const factor = dims.reduce<number>((total, dim) => total * (isNumber(dim) ? dim : dim.batch), 1);
  const symbols = dims.filter((dim) => !isNumber(dim)).length;
  return symbols === 0 ? factor : symbols === 1 ? { batch: factor } : undefined;
}

/** a / b, rounded down where both are numbers; undefined where it is neither a number nor a multiple of the batch size. */
export function quotient(a: Dim, b: Dim): Dim | undefined {
  if (isNumber(b))
    return isNumber(a) ? Math.floor(a / b) : Number.isInteger(a.batch / b) ? { batch: a.batch / b } : undefined;
  return !isNumber(a) && Number.isInteger(a.batch / b.batch) ? a.batch / b.batch : undefined;
}
