import type { Builder } from '../graph/builder.js';
import { concreteShape, type Value } from '../graph/graph.js';

/** `x` with stride − 1 zeros after each element of some axes (axis → stride): a length n becomes n · stride. */
export function spread(g: Builder, x: Value, strides: ReadonlyMap<number, number>): Value {
  const shape = concreteShape(x);
  const strideOf = (axis: number) => strides.get(axis) ?? 1;
  if (shape.every((_, axis) => strideOf(axis) === 1)) return x;
  // Each axis that is spread gets an axis of length 1 after it, which is padded to the stride.
  const cells = shape.flatMap((dim, axis) => (strideOf(axis) === 1 ? [dim] : [dim, 1]));
  const after = shape.flatMap((_, axis) => (strideOf(axis) === 1 ? [0] : [0, strideOf(axis) - 1]));
  const filled = g.pad(g.reshape(x, cells), [...cells.map(() => 0), ...after]);
  return g.reshape(
    filled,
    shape.map((dim, axis) => dim * strideOf(axis)),
  );
}
