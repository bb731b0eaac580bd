import { attend, inHeads, outOfHeads, scaleOf } from './attention.js';
import { type Decomposition, NotDecomposable } from './decomposition.js';
import type { Value } from '../graph.js';

// Attention as ONNX Runtime's own operators have it (onnxruntime/docs/ContribOperators.md), without keys of earlier runs.

/** com.microsoft MultiHeadAttention: q [N, S, D], k and v [N, L, D], or [N, heads, L, D], or packed with one another. */
export function multiHeadAttention(d: Decomposition, isRead: (value: Value) => boolean): void {
  const { node } = d;
  const [query, key, value, bias, padding, scores] = node.inputs;
  d.only(6, isRead);
  if (!query || padding) throw new NotDecomposable('a mask of padding');
  const heads = node.int('num_heads', 1);
  const [q, k, v] = biased(d, packed(d, [query, key, value]), bias);
  const result = attend(d, [inHeads(d, q, heads), inHeads(d, k, heads), inHeads(d, v, heads)], {
    scale: scaleOf(node.float('scale', 0)),
    softcap: 0,
    mask: scores,
    isCausal: node.int('unidirectional', 0) === 1,
  });
  d.finish(outOfHeads(d, result));
}

type Three = readonly [Value, Value, Value];

/** Queries, keys and values, taken out of one value [N, S, heads, 3, D], or keys and values out of one [N, L, heads, 2, D]. */
function packed(d: Decomposition, [query, key, value]: readonly (Value | undefined)[]): Three {
  const unpacked = (from: Value, count: number): Value[] => {
    const sizes = [d.length(from, 2), d.length(from, 4)] as const;
    return d
      .split(
        from,
        3,
        Array.from({ length: count }, () => 1),
      )
      .map((part) => d.reshape(part, [0, 0, sizes[0] * sizes[1]]));
  };
  const [first, second, third] =
    query && query.shape?.length === 5
      ? unpacked(query, 3)
      : key && key.shape?.length === 5
        ? [query, ...unpacked(key, 2)]
        : [query, key, value];
  if (!first || !second || !third) throw new NotDecomposable('attention without keys or values');
  return [first, second, third];
}

/** Adds to each its part of the bias. */
function biased(d: Decomposition, three: Three, bias: Value | undefined): Three {
  if (!bias) return three;
  if (three.some(({ shape }) => shape?.length !== 3)) throw new NotDecomposable('a bias of heads');
  const lengths = three.map((value) => d.length(value, 2));
  const [q, k, v] = d.split(bias, 0, lengths).map((part, index) => d.add(three[index] ?? part, part));
  if (!q || !k || !v) throw new Error('unreachable');
  return [q, k, v];
}

/** com.microsoft Attention: one matrix for queries, keys and values of x [N, S, D]. */
export function packedAttention(d: Decomposition, isRead: (value: Value) => boolean): void {
  const { node } = d;
  const [x, weight, bias, padding, past, scores] = node.inputs;
  d.only(6, isRead);
  if (!x || !weight || padding || past || node.int('do_rotary', 0) === 1)
    throw new NotDecomposable('a mask of padding, or places that are turned');
  const product = d.op('MatMul', [x, weight], {}, { name: node.name, places: { 1: 1 } });
  const projected = bias ? d.add(product, bias, 2) : product;
  const third = d.length(projected, 2) / 3;
  const sizes = node.ints('qkv_hidden_sizes') ?? [third, third, third];
  const heads = node.int('num_heads', 1);
  const [q, k, v] = d.split(projected, 2, sizes).map((part) => inHeads(d, part, heads));
  if (!q || !k || !v) throw new NotDecomposable('sizes of fewer than three');
  const result = attend(d, [q, k, v], {
    scale: scaleOf(node.float('scale', 0)),
    softcap: 0,
    mask: scores,
    isCausal: node.int('unidirectional', 0) === 1,
  });
  d.finish(outOfHeads(d, result));
}
