import { dtypeOfCode, intTensor, type Tensor, tensor, toNumbers } from '../onnx/tensor.js';
import { type Graph, type Node } from './graph.js';

/**
 * Computes what only shapes constants of integers, such as the places in a table that exporters write as a matrix and then read as a
 * row: gradients of what is gathered there need them. The graph's shapes must be known.
 */
export function foldIntegers(graph: Graph): void {
  graph.nodes = graph.nodes.filter((node) => {
    const [output] = node.outputs;
    const constant = folded(node);
    if (!output || !constant || graph.outputs.includes(output)) return true;
    output.producer = undefined;
    output.constant = constant;
    output.dtype = constant.dtype;
    output.shape = constant.dims;
    return false;
  });
}

const RESHAPING = new Set(['Flatten', 'Reshape', 'Squeeze', 'Unsqueeze']);

function folded(node: Node): Tensor | undefined {
  const constant = node.inputs[0]?.constant;
  if (node.domain !== '' || (constant?.dtype !== 'int64' && constant?.dtype !== 'int32')) return undefined;
  const dims = node.outputs[0]?.shape?.map((dim) => (typeof dim === 'number' ? dim : NaN));
  if (!dims || dims.includes(NaN)) return undefined;
  if (RESHAPING.has(node.op)) return { ...constant, dims };
  if (node.op === 'Transpose')
    return transposed(constant, node.ints('perm') ?? constant.dims.map((_, at) => constant.dims.length - 1 - at));
  if (node.op !== 'Cast') return undefined;
  const dtype = dtypeOfCode(node.int('to', 1));
  if (dtype === 'int64') return intTensor(dims, toNumbers(constant));
  return dtype === 'int32' ? tensor('int32', dims, Int32Array.from(toNumbers(constant))) : undefined;
}

function transposed(constant: Tensor, permutation: readonly number[]): Tensor {
  const { dims, dtype } = constant;
  const strides = dims.map((_, axis) => dims.slice(axis + 1).reduce((product, dim) => product * dim, 1));
  const to = permutation.map((axis) => dims[axis] ?? 1);
  const numbers = toNumbers(constant);
  const moved = numbers.map((_, index) => {
    let [rest, from] = [index, 0];
    for (let axis = to.length - 1; axis >= 0; axis--) {
      const length = to[axis] ?? 1;
      from += (rest % length) * (strides[permutation[axis] ?? 0] ?? 0);
      rest = Math.floor(rest / length);
    }
    return numbers[from] ?? 0;
  });
  return dtype === 'int32' ? tensor('int32', to, Int32Array.from(moved)) : intTensor(to, moved);
}
