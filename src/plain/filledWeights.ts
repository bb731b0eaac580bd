import { elementCount, floatTensor, protoOfTensor, toNumbers, tensorOfProto } from '../onnx/tensor.js';
import type { NodeProto } from '../onnx/onnx_pb.js';
import type { Draft } from './draft.js';
import { attributeOf, constantsOf, isOneOf, nodesBefore, numbersOf, readersOf } from './nodes.js';

/** Makes tensors of weights that are filled with one number by a ConstantOfShape, as in models that were made light for tests. */
export function filledWeights(draft: Draft): void {
  const filled = draft.graph.node.filter((node) => isOneOf(node, 'ConstantOfShape'));
  if (filled.length === 0) return;
  const constants = constantsOf(draft.graph);
  const readers = readersOf(draft.graph);
  const isWeight = (name: string): boolean =>
    (readers.get(name) ?? []).some((node) =>
      isOneOf(node, 'Reshape', 'Unsqueeze', 'Transpose')
        ? node.input[0] === name && isWeight(node.output[0] ?? '')
        : isOneOf(node, 'Conv', 'Gemm', 'MatMul', 'BatchNormalization') && node.input.indexOf(name) > 0,
    );
  const made = new Set<NodeProto>();
  for (const node of filled) {
    const [output = ''] = node.output;
    const dims = numbersOf(constants.get(node.input[0] ?? ''));
    const number = numberOf(node);
    if (!dims || number === undefined || !isWeight(output)) continue;
    const numbers = new Float32Array(elementCount(dims)).fill(number);
    draft.edit().initializer.push(protoOfTensor(output, floatTensor(dims, numbers)));
    made.add(node);
  }
  if (made.size === 0) return;
  const names = new Set([...made].map(({ output }) => output[0]));
  const graph = draft.edit();
  graph.node = graph.node.filter((node) => !isOneOf(node, 'ConstantOfShape') || !names.has(node.output[0]));
  graph.node = nodesBefore(
    graph,
    graph.output.map(({ name }) => name),
  );
  draft.notes.push(
    `${made.size === 1 ? 'a weight is' : `${made.size} weights are`} filled with one number, and become tensors`,
  );
}

/** The float32 number that a ConstantOfShape fills with: 0 where it states none. */
function numberOf(node: NodeProto): number | undefined {
  const value = attributeOf(node, 'value')?.t;
  if (!value) return 0;
  const stated = tensorOfProto(value);
  return stated.dtype === 'float32' ? toNumbers(stated)[0] : undefined;
}
