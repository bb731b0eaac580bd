import type { Builder } from '../graph/builder.js';
import { concreteShape, type Value } from '../graph/graph.js';
import { floatTensor } from '../onnx/tensor.js';

/**
 * A linear map along one axis, known at compile time: for each place of its result, the places that it reads and what they
 * weigh. Interpolation, repetition and selection are all of this kind.
 */
export interface LinearMap {
  /** Places that it reads from. */
  readonly length: number;
  readonly rows: readonly (readonly { readonly place: number; readonly weight: number }[])[];
}

/** A map whose result takes one place each, or nothing where that is undefined. */
export function selection(length: number, places: readonly (number | undefined)[]): LinearMap {
  return { length, rows: places.map((place) => (place === undefined ? [] : [{ place, weight: 1 }])) };
}

/** The gradient for what a map read along `axis`, from `dy`, its result's: its transpose, as one matrix product. */
export function transposed(g: Builder, { length, rows }: LinearMap, dy: Value, axis: number): Value {
  const isIdentity =
    rows.length === length &&
    rows.every((row, index) => row.length === 1 && row[0]?.place === index && row[0].weight === 1);
  if (isIdentity) return dy;
  // [result, read]
  const matrix = new Float32Array(rows.length * length);
  rows.forEach((row, index) => {
    for (const { place, weight } of row)
      matrix[index * length + place] = (matrix[index * length + place] ?? 0) + weight;
  });
  const rank = concreteShape(dy).length;
  if (axis === rank - 2) {
    const flipped = floatTensor([length, rows.length], new Float32Array(length * rows.length));
    matrix.forEach((weight, at) => (flipped.data[(at % length) * rows.length + Math.floor(at / length)] = weight));
    return g.matmul(g.constant('map', flipped), dy);
  }
  const map = g.constant('map', floatTensor([rows.length, length], matrix));
  if (axis === rank - 1) return g.matmul(dy, map);
  const last = Array.from({ length: rank }, (_, place) =>
    place === axis ? rank - 1 : place === rank - 1 ? axis : place,
  );
  return g.transpose(g.matmul(g.transpose(dy, last), map), last);
}
