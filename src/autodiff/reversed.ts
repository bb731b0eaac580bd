import type { Builder } from '../graph/builder.js';
import { concreteShape, type Value } from '../graph/graph.js';

/** `x` read backwards along some axes. */
export function reversed(g: Builder, x: Value, axes: readonly number[]): Value {
  const shape = concreteShape(x);
  const long = axes.filter((axis) => shape[axis] !== 1);
  if (long.length === 0) return x;
  const last = long.map(() => -1);
  return g.slice(
    x,
    last,
    long.map((axis) => -(shape[axis] ?? 0) - 1),
    long,
    last,
  );
}
