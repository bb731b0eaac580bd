import { at } from './dims.js';
import { type Dim, sameDim, type Shape } from './graph.js';

/** The shape that values of `shapes` are broadcast to together; undefined where they do not fit each other. */
export function broadcastShapes(shapes: readonly Shape[]): Shape | undefined {
  const rank = Math.max(...shapes.map(({ length }) => length));
  const result: Dim[] = Array.from({ length: rank }, () => 1);
  for (const shape of shapes) {
    for (const [index, dim] of shape.entries()) {
      const axis = index + rank - shape.length;
      if (dim === 1) continue;
      if (result[axis] !== 1 && !sameDim(at(result, axis), dim)) return undefined;
      result[axis] = dim;
    }
  }
  return result;
}

/** Whether broadcasting stretches a value of shape `from` to `to`. */
export function stretchesTo(from: Shape, to: Shape): boolean {
  const result = broadcastShapes([from, to]);
  return result?.length === to.length && result.every((dim, axis) => sameDim(dim, to[axis] ?? 0));
}
