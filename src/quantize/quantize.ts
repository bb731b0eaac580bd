import { type Graph, int, Node, Value } from '../graph/graph.js';
import { floatTensor, type Tensor, tensor } from '../onnx/tensor.js';
import { activationQuantization, type Quantization, type Range } from './range.js';
import { isLayer } from './selection.js';
import { quantizeWeight } from './weight.js';

/** What is quantized in a graph, and by what numbers. */
export interface QuantizationPlan {
  /** Nodes by the names of their results, as {@link selectNodes} gives them. */
  readonly nodes: readonly string[];
  /** The range of each activation that goes into them or comes out of them, by name, and no others. */
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
 * activations as unsigned bytes with a zero point, weights as signed bytes with a scale for each channel. Biases stay as they are:
 * their scales would follow from the others, and ONNX Runtime makes whole numbers of them by itself (since 1.21).
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
  /** ONNX Runtime wants zero points written out, zeros too; many are the same. */
  const zeroPoints = new Map<string, Value>();
  const zeroPoint = (of: Tensor): Value => {
    const key = `${of.dtype} ${of.dims.join()} ${of.data[0] ?? ''}`;
    let value = zeroPoints.get(key);
    if (!value) zeroPoints.set(key, (value = constant(`zero_point_${zeroPoints.size}`, of)));
    return value;
  };
  const roundTrip = (value: Value, from: Value, quantization: Quantization): void => {
    const by = [
      constant(`${value.name}/scale`, floatTensor([], [quantization.scale])),
      zeroPoint(tensor('uint8', [], Uint8Array.of(quantization.zeroPoint))),
    ];
    const whole = new Value(`${value.name}/quantized`, 'uint8', value.shape);
    append('QuantizeLinear', `${value.name}/quantize`, [from, ...by], whole);
    const real = new Value(value.name, value.dtype, value.shape);
    written.set(value, append('DequantizeLinear', `${value.name}/dequantize`, [whole, ...by], real));
  };
  /** What stands for the weight of a layer; `inputScale` where its input is in whole numbers. */
  const storedWeight = (node: Node, largestWhole: number, inputScale?: number): Value => {
    const [weight, name] = [node.input(1).constant, `${node.name}/weight`];
    if (!weight) throw new Error(`the weight of "${node.name}" is not known`);
    const axis = channelAxis(node);
    const { whole, scales } = quantizeWeight(weight, {
      axis,
      largest: largestWhole,
      bias: node.inputs[2]?.constant,
      inputScale,
    });
    const inputs = [
      constant(`${name}/quantized`, whole),
      constant(`${name}/scale`, floatTensor([scales.length], scales)),
      zeroPoint(tensor('int8', [scales.length], new Int8Array(scales.length))),
    ];
    const real = new Value(name, 'float32', whole.dims);
    return append('DequantizeLinear', `${name}/dequantize`, inputs, real, new Map([['axis', int(axis)]]));
  };

  for (const input of graph.inputs) {
    const quantization = quantizations.get(input);
    if (quantization) roundTrip(input, input, quantization);
  }
  for (const node of graph.nodes) {
    let inputs = node.inputs.map((input) => input && (written.get(input) ?? input));
    const isSelected = isLayer(node) && selected.has(node.output().name);
    if (isSelected || (plan.storesAllWeights && hasWeight(node))) {
      const [x, , bias] = inputs;
      const inputScale = isSelected ? quantizations.get(node.input(0))?.scale : undefined;
      if (isSelected && inputScale === undefined) throw new Error(`the range of "${node.input(0).name}" is not known`);
      const weight = storedWeight(node, isSelected ? largest : 127, inputScale);
      inputs = bias ? [x, weight, bias] : [x, weight];
    }
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

/** Whether a node, a layer or a product, has a weight that can be held as bytes. */
function hasWeight(node: Node): boolean {
  const weight = node.inputs[1]?.constant;
  return (
    weight?.dtype === 'float32' &&
    weight.dims.length >= 2 &&
    node.domain === '' &&
    (isLayer(node) || node.op === 'MatMul')
  );
}

/** The axis of a layer's weight that counts the channels of its result. */
function channelAxis(node: Node): number {
  if (node.op === 'Conv') return 0;
  return node.op === 'Gemm' && node.int('transB', 0) === 1 ? 0 : (node.inputs[1]?.constant?.dims.length ?? 2) - 1;
}

function constant(name: string, of: Tensor): Value {
  const value = new Value(name, of.dtype, of.dims);
  value.constant = of;
  return value;
}
