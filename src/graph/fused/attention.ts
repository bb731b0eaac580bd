import { floatTensor } from '../../onnx/tensor.js';
import { int, type Value } from '../graph.js';
import { type Decomposition, NotDecomposable } from './decomposition.js';

/** Added to the scores of what is not looked at: no weight is left of them, and no infinity makes NaN of another. */
const UNSEEN = -1e30;

/** What is asked of an attention over heads. */
interface Weighing {
  readonly scale: number | undefined;
  /** Scores stay within ± so much; 0 where they do not. */
  readonly softcap: number;
  /** Added to the scores, or true where one looks. */
  readonly mask: Value | undefined;
  readonly isCausal: boolean;
}

/** softmax(q·kᵀ·scale + mask)·v over heads: q [N, heads, S, D], k [N, heads', L, D], v [N, heads', L, V]; heads' divides heads. */
export function attend(
  d: Decomposition,
  [q, k, v]: readonly [Value, Value, Value],
  { scale, softcap, mask, isCausal }: Weighing,
): Value {
  const [heads, kept] = [d.length(q, 1), d.length(k, 1)];
  const size = d.length(q, 3);
  // Where heads share keys, each of these meets several of those.
  const isGrouped = heads !== kept;
  if (heads % kept !== 0) throw new NotDecomposable('heads that share no keys evenly');
  const grouped = (value: Value, shared: number) =>
    isGrouped ? d.reshape(value, [0, kept, shared, d.length(value, 2), d.length(value, 3)]) : value;
  const [queries, keys, values] = [grouped(q, heads / kept), grouped(k, 1), grouped(v, 1)];
  const turned = d.transpose(keys, isGrouped ? [0, 1, 2, 4, 3] : [0, 1, 3, 2]);
  let scores = d.matmul(d.scaled(queries, scale ?? 1 / Math.sqrt(size)), turned);
  const [rows, columns] = [d.length(q, 2), d.length(k, 2)];
  if (isGrouped) scores = d.reshape(scores, [0, heads, rows, columns]);
  if (softcap > 0) scores = d.scaled(d.op('Tanh', [d.scaled(scores, 1 / softcap)]), softcap);
  if (isCausal) scores = d.add(scores, causalMask(d, rows, columns));
  if (mask?.dtype === 'bool') scores = d.op('Where', [mask, scores, d.scalar(UNSEEN)]);
  else if (mask) scores = d.add(scores, mask);
  if (mask && mask.shape?.at(-1) !== columns && mask.shape?.at(-1) !== 1)
    throw new NotDecomposable('a mask that is shorter than what it masks');
  const weights = d.op('Softmax', [scores], { axis: int(-1) });
  if (!isGrouped) return d.matmul(weights, values);
  const result = d.matmul(d.reshape(weights, [0, kept, heads / kept, rows, columns]), values);
  return d.reshape(result, [0, heads, rows, d.length(v, 3)]);
}

function causalMask(d: Decomposition, rows: number, columns: number): Value {
  const numbers = Float32Array.from({ length: rows * columns }, (_, at) =>
    at % columns <= Math.floor(at / columns) ? 0 : UNSEEN,
  );
  return d.constant('causal_mask', floatTensor([rows, columns], numbers));
}

/** [N, S, heads·D] as [N, heads, S, D]; a value of four axes is that already. */
export function inHeads(d: Decomposition, value: Value, heads: number): Value {
  if (value.shape?.length === 4) return value;
  if (value.shape?.length !== 3 || heads < 1) throw new NotDecomposable('values of neither three nor four axes');
  return d.transpose(d.reshape(value, [0, 0, heads, d.length(value, 2) / heads]), [0, 2, 1, 3]);
}

/** [N, heads, S, D] as [N, S, heads·D]. */
export function outOfHeads(d: Decomposition, value: Value): Value {
  return d.reshape(d.transpose(value, [0, 2, 1, 3]), [0, 0, d.length(value, 1) * d.length(value, 3)]);
}

/** Attention of operator set 23 and later, without what it keeps for a next run. */
export function standardAttention(d: Decomposition, isRead: (value: Value) => boolean): void {
  const { node } = d;
  d.only(4, isRead);
  const window = [node.int('left_window_size', -1), node.int('right_window_size', -1)];
  if (window.some((size) => size >= 0)) throw new NotDecomposable('a window of attention');
  const [query, key, value, mask] = node.inputs;
  if (!query || !key || !value) throw new NotDecomposable('attention without keys or values');
  const heads = [node.int('q_num_heads', 0), node.int('kv_num_heads', 0)];
  const result = attend(
    d,
    [inHeads(d, query, heads[0] ?? 0), inHeads(d, key, heads[1] ?? 0), inHeads(d, value, heads[1] ?? 0)],
    {
      scale: scaleOf(node.float('scale', 0)),
      softcap: node.float('softcap', 0),
      mask,
      isCausal: node.int('is_causal', 0) === 1,
    },
  );
  d.finish(query.shape?.length === 3 ? outOfHeads(d, result) : result);
}

/** A scale that a node states; 0 states none. */
export const scaleOf = (scale: number) => (scale === 0 ? undefined : scale);
