import { tensor, toNumbers } from '../../onnx/tensor.js';
import { int, type Value } from '../graph.js';
import { type Decomposition, NotDecomposable } from './decomposition.js';

/** GatherND at constant places of the first axes: a Gather of rows, as a table of relative positions is read. */
export function gatherRows(d: Decomposition): void {
  const { node } = d;
  const data = node.input(0);
  const indices = constantOf(node.input(1));
  const depth = indices?.dims.at(-1) ?? 0;
  if (!indices || node.int('batch_dims', 0) !== 0 || depth < 1) throw new NotDecomposable('places that are computed');
  const lengths = Array.from({ length: depth }, (_, axis) => d.length(data, axis));
  const numbers = toNumbers(indices);
  const places = Array.from({ length: numbers.length / depth }, (_, row) =>
    lengths.reduce((place, length, axis) => {
      const index = numbers[row * depth + axis] ?? 0;
      return place * length + (index < 0 ? index + length : index);
    }, 0),
  );
  const dims = indices.dims.slice(0, -1);
  const rest = (data.shape ?? []).slice(depth).map((_, axis) => d.length(data, depth + axis));
  const rows = depth === 1 ? data : d.reshape(data, [-1, ...rest]);
  const at = d.constant('rows', tensor('int64', dims, BigInt64Array.from(places, BigInt)));
  d.finish(d.op('Gather', [rows, at], { axis: int(0) }, { name: node.name, places: depth === 1 ? { 0: 0 } : {} }));
}

/** The constant that a value is, with an axis of length 1 behind it or not. */
function constantOf({ constant, producer, shape }: Value) {
  if (constant) return constant;
  const inner = producer?.op === 'Unsqueeze' ? producer.input(0).constant : undefined;
  return inner && shape?.at(-1) === 1 && shape.length === inner.dims.length + 1
    ? { ...inner, dims: [...inner.dims, 1] }
    : undefined;
}
