import type { Builder } from '../graph/builder.js';
import { concreteShape, type Value } from '../graph/graph.js';

/** Pads the spatial axes of x [N, C, …] with zeros; a negative number cuts off. */
export function padded(g: Builder, x: Value, before: readonly number[], after: readonly number[]): Value {
  return [...before, ...after].every((count) => count === 0) ? x : g.pad(x, [0, 0, ...before, 0, 0, ...after]);
}

/** The elements of the spatial axes of x [N, C, …] from `starts` on, up to `stops`. */
export function between(g: Builder, x: Value, starts: readonly number[], stops: readonly number[]): Value {
  const have = concreteShape(x).slice(2);
  if (have.every((size, axis) => starts[axis] === 0 && size === stops[axis])) return x;
  return g.slice(
    x,
    starts,
    stops,
    stops.map((_, axis) => axis + 2),
  );
}

/** The first `sizes` elements of the spatial axes of x [N, C, …]. */
export function cropped(g: Builder, x: Value, sizes: readonly number[]): Value {
  return between(
    g,
    x,
    sizes.map(() => 0),
    sizes,
  );
}
