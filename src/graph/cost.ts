import { bytesPerElement, elementCount } from '../onnx/tensor.js';
import { bindShape, type Node, type Value } from './graph.js';

/** Elements of a value for a batch of `batch`; 0 while its shape is unknown. */
export function elementsOf(value: Value | undefined, batch = 1): number {
  return value?.shape ? elementCount(bindShape(value.shape, batch)) : 0;
}

/** Multiply-adds of a node for a batch of `batch`; an operator that is no matrix product counts one for each element. */
export function multiplyAdds(node: Node, batch = 1): number {
  const results = elementsOf(node.outputs[0], batch);
  const weight = node.inputs[1]?.shape ? bindShape(node.inputs[1].shape, batch) : [];
  switch (node.op) {
    case 'Conv':
      return results * elementCount(weight.slice(1));
    case 'ConvTranspose':
      return elementsOf(node.inputs[0], batch) * elementCount(weight.slice(1));
    case 'Gemm':
      return results * (weight[node.int('transB', 0) === 1 ? 1 : 0] ?? 0);
    case 'MatMul':
      return results * (weight.at(-2) ?? weight[0] ?? 0);
    default:
      return Math.max(results, elementsOf(node.inputs[0], batch));
  }
}

/**
 * Bytes of activations alive at once when `nodes` run in order and each value is freed after its last reader, as ONNX
 * Runtime's sequential executor does. Constants, inputs and outputs of the graph are not counted.
 */
export function peakActivationBytes(nodes: readonly Node[], outputs: readonly Value[]): number {
  const lastReader = new Map<Value, number>();
  nodes.forEach((node, index) => {
    for (const input of node.inputs) if (input?.producer) lastReader.set(input, index);
  });
  // An Identity before an output is a name; the runtime writes into the output at once.
  const given = new Set(outputs.flatMap((output) => [output, ...identityInputs(output)]));
  const bytes = (value: Value) =>
    given.has(value) ? 0 : elementsOf(value) * bytesPerElement(value.dtype ?? 'float32');
  let live = 0;
  let peak = 0;
  nodes.forEach((node, index) => {
    for (const output of node.outputs) if (output) live += bytes(output);
    peak = Math.max(peak, live);
    for (const value of new Set([...node.inputs, ...node.outputs])) {
      if (value?.producer && (lastReader.get(value) ?? index) === index) live -= bytes(value);
    }
  });
  return peak;
}

const identityInputs = ({ producer }: Value): Value[] => (producer?.op === 'Identity' ? [producer.input(0)] : []);
