import { UserError } from '../errors.js';
import type { GraphProto, NodeProto, TensorProto } from '../onnx/onnx_pb.js';
import { floatTensor, protoOfTensor } from '../onnx/tensor.js';
import { dynamicToFloat } from './dequantizeDynamic.js';
import { weightsOfBits } from './dequantizeBits.js';
import { spreadOperators } from './dequantizeOperators.js';
import { type Draft, nodeOf } from './draft.js';
import { constantsOf, intOf, isOneOf, isStandard, numbersOf, passOn, producersOf, shown } from './nodes.js';
import { dequantized, rangeOf, wholeNumbersOf } from './quantizedTensor.js';

/** Operators that move quantized numbers, or choose among them. */
const MOVING = [
  'Concat',
  'Flatten',
  'Gather',
  'Identity',
  'MaxPool',
  'Reshape',
  'Slice',
  'Squeeze',
  'Transpose',
  'Unsqueeze',
];
/** What gives numbers below 0, so that a result that begins at 0 has them cut off. */
const SIGNED = ['Add', 'BatchNormalization', 'Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'Mul', 'Sub', 'Sum'];

const isQuantizing = ({ opType }: NodeProto) =>
  /^(QLinear|QGemm|QAttention|Quantize|Dequantize|DynamicQuantize)|Integer|NBits/.test(opType);

/**
 * Has a quantized model compute in float32: weights become the floats that they stand for, and activations are no longer rounded. Where
 * rounding also cut off what is below 0, as a ReLU that was folded into it, that stays.
 * @throws UserError `quantized-model` for operators that this is not written for.
 */
export function dequantize(draft: Draft): void {
  const found = draft.graph.node.filter(isQuantizing);
  if (found.length === 0) return;
  const graph = draft.edit();
  weightsOfBits(draft);
  dynamicToFloat(draft);
  spreadOperators(draft);
  foldConstants(draft);
  dropRounding(graph);
  const left = graph.node.find(isQuantizing);
  if (left)
    throw new UserError(
      'quantized-model',
      `${shown(left)} of ${draft.path} computes in whole numbers in a way that ort-tl does not undo; take the float32 model that this one was made from`,
    );
  graph.valueInfo = [];
  draft.warnings.push(
    `${draft.path} is quantized (${found.length} nodes, such as ${shown(found[0] ?? nodeOf('', [], ''))}); it is trained and exported in float32, with the weights that its whole numbers stand for, rounded as they are, and scores may differ a little from the file's; the float32 model that it was made from trains better`,
  );
}

/** Replaces constants that go through Quantize- and DequantizeLinear by the floats that come of it. */
function foldConstants(draft: Draft): void {
  const graph = draft.edit();
  for (let constants = constantsOf(graph); ; constants = constantsOf(graph)) {
    const folded = new Map<NodeProto, TensorProto>();
    const producers = producersOf(graph);
    for (const node of graph.node) {
      const tensor = foldedTensor(node, constants, producers);
      if (tensor) folded.set(node, tensor);
    }
    if (folded.size === 0) return;
    graph.node = graph.node.filter((node) => !folded.has(node));
    graph.initializer.push(...folded.values());
  }
}

function foldedTensor(
  node: NodeProto,
  constants: ReadonlyMap<string, TensorProto>,
  producers: ReadonlyMap<string, NodeProto>,
): TensorProto | undefined {
  if (node.opType !== 'DequantizeLinear') return undefined;
  const [source = ''] = node.input;
  const stored = constants.get(source);
  if (stored)
    return ofWholeNumbers(node, { numbers: wholeNumbersOf(stored), dims: stored.dims.map(Number) }, constants);
  // Weights that are kept as floats, and rounded when the model runs (quantization-aware training).
  const rounding = producers.get(source);
  const floating = rounding?.opType === 'QuantizeLinear' ? constants.get(rounding.input[0] ?? '') : undefined;
  if (!rounding || !floating) return undefined;
  const dims = floating.dims.map(Number);
  const values = numbersOf(floating) ?? [];
  const [, scale = '', zero = ''] = rounding.input;
  const scales = numbersOf(constants.get(scale)) ?? [];
  const zeroTensor = constants.get(zero);
  const zeros = zeroTensor && wholeNumbersOf(zeroTensor);
  const range = rangeOf(zeroTensor?.dataType ?? intOf(rounding, 'output_dtype', UINT8)) ?? [0, 255];
  const steps = {
    scales: scales.map((each) => 1 / each),
    zeros: undefined,
    axis: intOf(rounding, 'axis', 1),
    blockSize: intOf(rounding, 'block_size', 0),
  };
  const zeroPlaces = dequantized(
    values.map(() => 0),
    dims,
    { ...steps, scales: scales.map(() => 1), zeros },
  );
  const numbers = dequantized(values, dims, steps).map((each, index) =>
    Math.min(range[1], Math.max(range[0], roundedToEven(each) - (zeroPlaces[index] ?? 0))),
  );
  return ofWholeNumbers(node, { numbers, dims }, constants);
}

const UINT8 = 2;

/** What a DequantizeLinear makes of whole numbers; undefined where its scales are computed. */
function ofWholeNumbers(
  node: NodeProto,
  { numbers, dims }: { readonly numbers: ArrayLike<number>; readonly dims: readonly number[] },
  constants: ReadonlyMap<string, TensorProto>,
): TensorProto | undefined {
  const [, scale = '', zero = ''] = node.input;
  const scales = numbersOf(constants.get(scale));
  const zeroTensor = constants.get(zero);
  if (!scales || (zero !== '' && !zeroTensor)) return undefined;
  const zeros = zeroTensor && wholeNumbersOf(zeroTensor);
  const places = { axis: intOf(node, 'axis', 1), blockSize: intOf(node, 'block_size', 0) };
  const values = dequantized(numbers, dims, { scales, zeros, ...places });
  return protoOfTensor(node.output[0] ?? '', floatTensor(dims, values));
}

function roundedToEven(number: number): number {
  const down = Math.floor(number);
  const rest = number - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down;
}

/** Takes out what rounds activations, but for a cut at 0 that nothing else makes. */
function dropRounding(graph: GraphProto): void {
  const constants = constantsOf(graph);
  const producers = producersOf(graph);
  const passing = new Map<NodeProto, string>();
  const cut: NodeProto[] = [];
  for (const node of graph.node) {
    const [from = ''] = node.input;
    if (node.opType === 'QuantizeLinear') {
      const before = producers.get(from);
      if (before && isOneOf(before, ...SIGNED) && beginsAtZero(node, constants) && !endsModel(node, graph))
        cut.push(node);
      else passing.set(node, from);
    } else if (node.opType === 'DequantizeLinear' && comesOfRounding(from, producers)) passing.set(node, from);
  }
  for (const node of cut) {
    node.opType = 'Relu';
    node.domain = '';
    node.input = node.input.slice(0, 1);
    node.attribute = [];
  }
  passOn(graph, passing);
}

/** Whether a value is rounded by a QuantizeLinear, and only moved since. */
function comesOfRounding(name: string, producers: ReadonlyMap<string, NodeProto>): boolean {
  const node = producers.get(name);
  if (!node) return false;
  if (node.opType === 'QuantizeLinear') return true;
  if (node.opType === 'Concat' && isStandard(node))
    return node.input.every((input) => comesOfRounding(input, producers));
  return isOneOf(node, ...MOVING) && comesOfRounding(node.input[0] ?? '', producers);
}

/** Whether the least whole number that a QuantizeLinear gives stands for 0. */
function beginsAtZero(node: NodeProto, constants: ReadonlyMap<string, TensorProto>): boolean {
  const [, , zero = ''] = node.input;
  const tensor = constants.get(zero);
  // Without a zero it is 0, of bytes without a sign.
  if (!tensor) return zero === '' && intOf(node, 'output_dtype', UINT8) === UINT8;
  const least = rangeOf(tensor.dataType)?.[0];
  return wholeNumbersOf(tensor).every((each) => each === least);
}

/** Whether what comes of a node is the model's result, at most shaped or made shares of. */
function endsModel(node: NodeProto, graph: GraphProto): boolean {
  const outputs = new Set(graph.output.map(({ name }) => name));
  const shaping = ['DequantizeLinear', 'Flatten', 'LogSoftmax', 'Reshape', 'Softmax', 'Squeeze'];
  let at: NodeProto | undefined = node;
  for (let steps = 0; at && steps < 8; steps++) {
    const output: string = at.output[0] ?? '';
    if (outputs.has(output)) return true;
    at = graph.node.find((each) => each.input[0] === output);
    if (at && !shaping.includes(at.opType)) return false;
  }
  return false;
}
