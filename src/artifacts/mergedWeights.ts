import { UserError } from '../errors.js';
import { constantOfNode } from '../graph/proto.js';
import { wholeTensor } from '../onnx/float16.js';
import type { GraphProto } from '../onnx/onnx_pb.js';
import { floats, floatTensor, type Tensor, tensorOfProto } from '../onnx/tensor.js';
import type { Manifest } from './manifest.js';

/**
 * What becomes of the source model's parameters: trained ones as they are, and matrices with what their adapters have learned added:
 * W + scale · A · B, in float64, rounded once.
 * @throws UserError `unsupported-model` when the source has no such matrix.
 */
export function mergedParameters(
  graph: GraphProto,
  { parameters, statistics, adapters }: Pick<Manifest, 'parameters' | 'statistics' | 'adapters'>,
  trained: ReadonlyMap<string, Tensor>,
): Map<string, Tensor> {
  const valueOf = (name: string): Tensor => {
    const value = trained.get(name);
    if (!value) throw new Error(`the checkpoint lacks "${name}"`);
    return value;
  };
  const beside = new Set(adapters.flatMap(({ a, b }) => [a, b]));
  const own = [...parameters, ...statistics].filter(({ name }) => !beside.has(name));
  const merged = new Map(own.map(({ name }) => [name, valueOf(name)]));
  for (const adapter of adapters) {
    const weight = constantOfGraph(graph, adapter.weight);
    merged.set(adapter.weight, mergedWeight(weight, valueOf(adapter.a), valueOf(adapter.b), adapter));
  }
  return merged;
}

function mergedWeight(
  weight: Tensor,
  a: Tensor,
  b: Tensor,
  { scale, isTransposed }: Pick<Manifest['adapters'][number], 'scale' | 'isTransposed'>,
): Tensor {
  const isConv = a.dims.length > 2;
  const [left, right] = isConv ? [b, a] : [a, b];
  const [rows = 0, rank = 0] = left.dims;
  const columns = right.dims[1] ?? 0;
  const [l, r, w] = [floats(left), floats(right), floats(weight)];
  if (w.length !== rows * columns) throw new Error('an adapter has other sides than its matrix');
  const sums = new Float64Array(columns);
  const sum = new Float32Array(w.length);
  for (let row = 0; row < rows; row++) {
    sums.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = l[row * rank + k] ?? NaN;
      for (let column = 0; column < columns; column++)
        sums[column] = (sums[column] ?? NaN) + factor * (r[k * columns + column] ?? NaN);
    }
    for (let column = 0; column < columns; column++) {
      const at = isTransposed && !isConv ? column * rows + row : row * columns + column;
      sum[at] = (w[at] ?? NaN) + scale * (sums[column] ?? NaN);
    }
  }
  return floatTensor(weight.dims, sum);
}

/** A constant of the model in float32, also where it is a Constant node's, another's by an Identity, or made float32 of by a Cast. */
function constantOfGraph(graph: GraphProto, name: string): Tensor {
  const initializer = graph.initializer.find((each) => each.name === name);
  if (initializer) return wholeTensor(tensorOfProto(initializer));
  const node = graph.node.find(({ output }) => output[0] === name);
  if (node?.opType === 'Constant') return wholeTensor(constantOfNode(node));
  if ((node?.opType === 'Identity' || node?.opType === 'Cast') && node.input[0])
    return constantOfGraph(graph, node.input[0]);
  throw new UserError('unsupported-model', `the source model holds no parameter "${name}"`);
}
