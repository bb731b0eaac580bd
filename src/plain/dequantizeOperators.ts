import type { NodeProto } from '../onnx/onnx_pb.js';
import { floatTensor, protoOfTensor } from '../onnx/tensor.js';
import { type Draft, nodeOf } from './draft.js';
import { constantsOf, intAttribute, intOf, numbersOf } from './nodes.js';

/** Where a quantized operator has its data among its inputs, and what of it is the same in float. */
interface InFloat {
  readonly op: string;
  /** The first of the three inputs (numbers, scale, zero) of each of its data. */
  readonly data: readonly number[];
  /** The first of the two inputs (scale, zero) of its result; where it is absent the result is float32. */
  readonly result?: number;
  /** The input of its bias, in steps of both scales. */
  readonly bias?: number;
}

const MICROSOFT = 'com.microsoft';
/** ONNX Runtime's operators in whole numbers, and those of ONNX, by domain and name. */
const OPERATORS = new Map<string, InFloat>([
  [':QLinearConv', { op: 'Conv', data: [0, 3], result: 6, bias: 8 }],
  [':QLinearMatMul', { op: 'MatMul', data: [0, 3], result: 6 }],
  [`${MICROSOFT}:QGemm`, { op: 'Gemm', data: [0, 3], bias: 6, result: 7 }],
  [`${MICROSOFT}:QLinearAdd`, { op: 'Add', data: [0, 3], result: 6 }],
  [`${MICROSOFT}:QLinearMul`, { op: 'Mul', data: [0, 3], result: 6 }],
  [`${MICROSOFT}:QLinearAveragePool`, { op: 'AveragePool', data: [0], result: 3 }],
  [`${MICROSOFT}:QLinearGlobalAveragePool`, { op: 'GlobalAveragePool', data: [0], result: 3 }],
  [`${MICROSOFT}:QLinearLeakyRelu`, { op: 'LeakyRelu', data: [0], result: 3 }],
  [`${MICROSOFT}:QLinearSigmoid`, { op: 'Sigmoid', data: [0], result: 3 }],
]);

/** Writes operators in whole numbers as ones in float between QuantizeLinear and DequantizeLinear. */
export function spreadOperators(draft: Draft): void {
  const of = ({ domain, opType }: NodeProto) => OPERATORS.get(`${domain === 'ai.onnx' ? '' : domain}:${opType}`);
  if (!draft.graph.node.some((node) => of(node))) return;
  const graph = draft.edit();
  graph.node = graph.node.flatMap((node) => {
    const known = of(node);
    return known ? spread(draft, node, known) : [node];
  });
}

function spread(draft: Draft, node: NodeProto, { op, data, result, bias }: InFloat): NodeProto[] {
  const [output = ''] = node.output;
  const name = node.name || output;
  // Of a weight with a scale for each output, these are the first axis of a Conv, and the last of a product.
  const axis = op === 'Conv' || intOf(node, 'transB', 0) === 1 ? 0 : 1;
  const before: NodeProto[] = [];
  const inputs = data.map((first, index) => {
    const [numbers = '', scale = '', zero = ''] = node.input.slice(first, first + 3);
    const floats = draft.uniqueName(`${name}/float_${index}`);
    const dequantize = nodeOf('DequantizeLinear', [numbers, scale, ...(zero === '' ? [] : [zero])], floats);
    if (index > 0) dequantize.attribute = [intAttribute('axis', axis)];
    before.push(dequantize);
    return floats;
  });
  const steps = bias === undefined ? undefined : node.input[bias];
  if (steps) inputs.push(biasOf(draft, node, steps, { name, data }));
  const scale = result === undefined ? '' : (node.input[result] ?? '');
  const floats = scale === '' ? output : draft.uniqueName(`${name}/float`);
  const computing = nodeOf(op, inputs, floats, {
    attribute: node.attribute.filter(({ name: key }) => key !== 'channels_last'),
  });
  computing.name = name;
  if (scale === '' || result === undefined) return [...before, computing];
  const zero = node.input[result + 1] ?? '';
  return [...before, computing, nodeOf('QuantizeLinear', [floats, scale, ...(zero === '' ? [] : [zero])], output)];
}

/** The bias, whole numbers in steps of the product of both scales, as floats. */
function biasOf(
  draft: Draft,
  node: NodeProto,
  steps: string,
  { name, data }: { readonly name: string; readonly data: readonly number[] },
): string {
  const constants = constantsOf(draft.graph);
  const numbers = numbersOf(constants.get(steps)) ?? [];
  const [input = [1], weight = [1]] = data.map((first) => numbersOf(constants.get(node.input[first + 1] ?? '')));
  const each = (list: readonly number[], index: number) => list[list.length === 1 ? 0 : index] ?? 1;
  const biases = numbers.map((number, index) => number * each(input, index) * each(weight, index));
  return draft.addConstant(`${name}/bias`, (unique) => protoOfTensor(unique, floatTensor([biases.length], biases)));
}
