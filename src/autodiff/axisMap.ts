import type { Builder } from '../graph/builder.js';
import { concreteShape, type Value } from '../graph/graph.js';
import { elementCount, floatTensor } from '../onnx/tensor.js';

/**
 * A linear map along one axis, y = M·x: pooling, interpolation, mirroring and selection are all of this kind, one map an axis.
 * `rows[o]` holds the weights with which output o takes its inputs, index → weight.
 */
export interface AxisMap {
  readonly axis: number;
  /** The input's length. */
  readonly length: number;
  readonly rows: readonly ReadonlyMap<number, number>[];
}

/** The map that takes for each output one input. */
export function selection(axis: number, length: number, indices: readonly number[]): AxisMap {
  return { axis, length, rows: indices.map((index) => new Map([[index, 1]])) };
}

/** Adds a weight to what a row takes of input `index`. */
export function accumulate(row: Map<number, number>, index: number, weight: number): void {
  row.set(index, (row.get(index) ?? 0) + weight);
}

/** dx = Mᵀ·dy along every map's axis, in matrix products with constants made at compile time. */
export function transposedMaps(g: Builder, dy: Value, maps: readonly AxisMap[]): Value {
  return maps.filter((map) => !isIdentity(map)).reduce((value, map) => transposedMap(g, value, map), dy);
}

function transposedMap(g: Builder, dy: Value, map: AxisMap): Value {
  const shape = concreteShape(dy);
  const { axis, length, rows } = map;
  const [before, after] = [elementCount(shape.slice(0, axis)), elementCount(shape.slice(axis + 1))];
  const product =
    after === 1
      ? g.gemm(g.reshape(dy, [before, rows.length]), matrix(g, map))
      : g.matmul(transposedMatrix(g, map), g.reshape(dy, [before, rows.length, after]));
  return g.reshape(product, [...shape.slice(0, axis), length, ...shape.slice(axis + 1)]);
}

/** M [outputs, inputs]. */
function matrix(g: Builder, { length, rows }: AxisMap): Value {
  const weights = new Float32Array(rows.length * length);
  rows.forEach((row, output) => row.forEach((weight, input) => (weights[output * length + input] = weight)));
  return g.constant('axis_map', floatTensor([rows.length, length], weights));
}

/** Mᵀ [inputs, outputs]. */
function transposedMatrix(g: Builder, { length, rows }: AxisMap): Value {
  const weights = new Float32Array(rows.length * length);
  rows.forEach((row, output) => row.forEach((weight, input) => (weights[input * rows.length + output] = weight)));
  return g.constant('axis_map', floatTensor([length, rows.length], weights));
}

function isIdentity({ length, rows }: AxisMap): boolean {
  return rows.length === length && rows.every((row, index) => row.size === 1 && row.get(index) === 1);
}
