import { type Graph, int, Node, Value } from '../graph/graph.js';
import { floatTensor, type Tensor, tensor } from '../onnx/tensor.js';
import { activationQuantization, type Quantization, type Range } from './range.js';
import { isLayer } from './selection.js';
import { quantizeLayer } from './weight.js';

/** What is quantized in a graph, and by what numbers. */
export interface QuantizationPlan {
  /** Nodes by the names of their results, as {@link selectNodes} gives them. */
  readonly nodes: readonly string[];
  /** Of each activation that goes into them or comes out of them, by name; of these alone. */
  readonly ranges: ReadonlyMap<string, Range>;
  /**
   * Weights of 7 bits in place of 8: x86 processors without VNNI add pairs of products in 16 bits, which 8 bits overflow.
   * Default false.
   */
  readonly reducesRange?: boolean;
  /** Whether weights of layers that are computed in float are held as signed bytes too. Default false. */
  readonly storesAllWeights?: boolean;
}

/**
 * The graph with operators computed in whole numbers, as pairs of QuantizeLinear and DequantizeLinear tell the runtime:
 * activations as unsigned bytes with a zero point, weights as signed bytes with a scale for each channel, biases as 32 bits.
 * Inputs and outputs keep their names and types. BatchNormalizations must be folded.
 */
export function quantize(graph: Graph, plan: QuantizationPlan): Graph {
  const largest = plan.reducesRange ? 63 : 127;
  const selected = new Set(plan.nodes);
  const quantizations = new Map<Value, Quantization>();
  for (const value of [...graph.inputs, ...graph.nodes.flatMap(({ outputs }) => outputs)]) {
    const range = value && plan.ranges.get(value.name);
    if (range) quantizations.set(value, activationQuantization(range));
  }
  const nodes: Node[] = [];
  /** What stands for a value of the source. */
  const written = new Map<Value, Value>();

  const append = (
    op: string,
    name: string,
    inputs: Value[],
    output: Value,
    attributes: Node['attributes'] = new Map(),
  ) => {
    nodes.push(new Node(op, '', name, inputs, [output], attributes));
    return output;
  };
  const roundTrip = (value: Value, from: Value, { scale, zeroPoint }: Quantization): void => {
    const by = [
      constant(`${value.name}/scale`, floatTensor([], [scale])),
      constant(`${value.name}/zero_point`, tensor('uint8', [], Uint8Array.of(zeroPoint))),
    ];
    const whole = new Value(`${value.name}/quantized`, 'uint8', value.shape);
    append('QuantizeLinear', `${value.name}/quantize`, [from, ...by], whole);
    const real = new Value(value.name, value.dtype, value.shape);
    written.set(value, append('DequantizeLinear', `${value.name}/dequantize`, [whole, ...by], real));
  };
  const dequantized = (name: string, whole: Tensor, scales: readonly number[], axis: number): Value => {
    const inputs = [
      constant(`${name}/quantized`, whole),
      constant(`${name}/scale`, floatTensor([scales.length], scales)),
    ];
    // ONNX Runtime wants zeros that are written out of weights, and not of biases, where they would take as much room again.
    if (whole.dtype === 'int8')
      inputs.push(constant(`${name}/zero_point`, tensor('int8', [scales.length], new Int8Array(scales.length))));
    return append(
      'DequantizeLinear',
      `${name}/dequantize`,
      inputs,
      new Value(name, 'float32', whole.dims),
      new Map([['axis', int(axis)]]),
    );
  };
  const layerInputs = (node: Node, x: Value): Value[] => {
    const [source, weight, bias] = [node.input(0), node.input(1).constant, node.inputs[2]?.constant];
    const inputScale = quantizations.get(source)?.scale;
    if (!weight || inputScale === undefined) throw new Error(`the range of "${source.name}" is not known`);
    const axis = channelAxis(node);
    const layer = quantizeLayer(weight, bias, { axis, largest, inputScale });
    const inputs = [x, dequantized(`${node.name}/weight`, layer.weight, layer.scales, axis)];
    if (layer.bias) inputs.push(dequantized(`${node.name}/bias`, layer.bias, layer.biasScales, 0));
    return inputs;
  };

  /** What stands for the weight of a layer in float. */
  const storedWeight = (node: Node, index: number): Value | undefined => {
    const weight = node.inputs[1]?.constant;
    if (index !== 1 || weight?.dtype !== 'float32' || weight.dims.length < 2 || node.domain !== '') return undefined;
    if (!isLayer(node) && node.op !== 'MatMul') return undefined;
    const axis = channelAxis(node);
    const layer = quantizeLayer(weight, undefined, { axis, largest: 127, inputScale: 1 });
    return dequantized(`${node.name}/weight`, layer.weight, layer.scales, axis);
  };

  for (const input of graph.inputs) {
    const quantization = quantizations.get(input);
    if (quantization) roundTrip(input, input, quantization);
  }
  for (const node of graph.nodes) {
    let inputs = node.inputs.map((input) => input && (written.get(input) ?? input));
    const [x] = inputs;
    if (x && isLayer(node) && selected.has(node.output().name)) inputs = layerInputs(node, x);
    else if (plan.storesAllWeights) inputs = inputs.map((input, index) => storedWeight(node, index) ?? input);
    const outputs = node.outputs.map((output) => {
      if (!output) return output;
      const copy = new Value(
        quantizations.has(output) ? `${output.name}/exact` : output.name,
        output.dtype,
        output.shape,
      );
      written.set(output, copy);
      return copy;
    });
    nodes.push(new Node(node.op, node.domain, node.name, inputs, outputs, node.attributes));
    node.outputs.forEach((output, index) => {
      const [quantization, from] = [output && quantizations.get(output), outputs[index]];
      if (output && quantization && from) roundTrip(output, from, quantization);
    });
  }
  return {
    opset: graph.opset,
    inputs: graph.inputs,
    outputs: graph.outputs.map((output) => written.get(output) ?? output),
    nodes,
  };
}

/** Of a layer's weight, the axis of the channels of its result. */
function channelAxis(node: Node): number {
  if (node.op === 'Conv') return 0;
  return node.op === 'Gemm' && node.int('transB', 0) === 1 ? 0 : (node.inputs[1]?.constant?.dims.length ?? 2) - 1;
}

function constant(name: string, of: Tensor): Value {
  const value = new Value(name, of.dtype, of.dims);
  value.constant = of;
  return value;
}
