import type { NodeProto, TensorProto } from '../onnx/onnx_pb.js';
import { floatTensor, protoOfTensor } from '../onnx/tensor.js';
import { type Draft, nodeOf } from './draft.js';
import { constantsOf, isOneOf, numbersOf, producersOf, readersOf } from './nodes.js';
import { dequantized, wholeNumbersOf } from './quantizedTensor.js';

const IN_FLOAT = new Map([
  ['ConvInteger', 'Conv'],
  ['MatMulInteger', 'MatMul'],
]);

/**
 * Undoes dynamic quantization: DynamicQuantizeLinear of the data, a product in whole numbers, a Cast, and a Mul by both scales become one
 * product in float.
 */
export function dynamicToFloat(draft: Draft): void {
  if (!draft.graph.node.some((node) => isOneOf(node, ...IN_FLOAT.keys()))) return;
  const graph = draft.edit();
  const constants = constantsOf(graph);
  const producers = producersOf(graph);
  const readers = readersOf(graph);
  const only = (name: string): NodeProto | undefined => {
    const list = readers.get(name) ?? [];
    return list.length === 1 ? list[0] : undefined;
  };
  const gone = new Set<NodeProto>();
  const added = new Map<NodeProto, NodeProto>();
  for (const node of graph.node) {
    const op = isOneOf(node, ...IN_FLOAT.keys()) ? IN_FLOAT.get(node.opType) : undefined;
    if (op === undefined) continue;
    const rounding = producers.get(node.input[0] ?? '');
    const cast = only(node.output[0] ?? '');
    const scaling = cast && isOneOf(cast, 'Cast') ? only(cast.output[0] ?? '') : undefined;
    if (!rounding || !cast || !scaling || !isOneOf(rounding, 'DynamicQuantizeLinear') || !isOneOf(scaling, 'Mul'))
      continue;
    const scales = weightScales(scaling, cast.output[0] ?? '', rounding.output[1] ?? '', { constants, producers });
    const weight = constants.get(node.input[1] ?? '');
    if (!scales || !weight) continue;
    const name = draft.addConstant(`${node.input[1] ?? ''}/float`, (unique) =>
      floatWeight(unique, weight, scales, constants.get(node.input[3] ?? ''), op === 'Conv' ? 0 : -1),
    );
    const product = nodeOf(op, [rounding.input[0] ?? '', name], scaling.output[0] ?? '', { attribute: node.attribute });
    product.name = node.name || (node.output[0] ?? '');
    added.set(node, product);
    gone.add(cast).add(scaling);
  }
  graph.node = graph.node.flatMap((node) => (gone.has(node) ? [] : [added.get(node) ?? node]));
  dropUnread(draft);
}

/** The scales of the weight, where a Mul multiplies by them and by the scale of the data. */
function weightScales(
  scaling: NodeProto,
  product: string,
  dataScale: string,
  { constants, producers }: { constants: ReadonlyMap<string, TensorProto>; producers: ReadonlyMap<string, NodeProto> },
): number[] | undefined {
  const factor = scaling.input.find((name) => name !== product) ?? '';
  const both = producers.get(factor);
  if (!both || !isOneOf(both, 'Mul') || !both.input.includes(dataScale)) return undefined;
  return numbersOf(constants.get(both.input.find((name) => name !== dataScale) ?? ''));
}

function floatWeight(
  name: string,
  weight: TensorProto,
  scales: readonly number[],
  zero: TensorProto | undefined,
  axis: number,
): TensorProto {
  const dims = weight.dims.map(Number);
  const count = dims.at(axis) ?? 1;
  const zeros = zero && wholeNumbersOf(zero);
  // Zeros may be one for all where scales are one for each output, or the other way round.
  const spread = (list: ArrayLike<number>) =>
    Array.from({ length: count }, (_, index) => list[list.length === 1 ? 0 : index] ?? 0);
  const numbers = wholeNumbersOf(weight);
  const stated = { scales: spread(scales), zeros: zeros && spread(zeros), axis, blockSize: 0 };
  return protoOfTensor(name, floatTensor(dims, dequantized(numbers, dims, stated)));
}

/** Takes out what only served whole numbers. */
function dropUnread(draft: Draft): void {
  const graph = draft.edit();
  for (;;) {
    const read = readersOf(graph);
    const outputs = new Set(graph.output.map(({ name }) => name));
    const isUnread = (node: NodeProto) =>
      isOneOf(node, 'DynamicQuantizeLinear', 'Mul') &&
      node.output.every((name) => !read.has(name) && !outputs.has(name));
    const left = graph.node.filter((node) => !isUnread(node));
    if (left.length === graph.node.length) return;
    graph.node = left;
  }
}
