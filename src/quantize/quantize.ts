import { type Graph, int, Node, Value } from '../graph/graph.js';
import { operatorOf } from '../graph/operators.js';
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
  const writer = new QuantizedWriter(quantizationsOf(graph, plan.ranges), plan);
  graph.inputs.forEach((input) => writer.writeInput(input));
  graph.nodes.forEach((node) => writer.writeNode(node));
  return {
    opset: graph.opset,
    inputs: graph.inputs,
    outputs: graph.outputs.map((output) => writer.at(output)),
    nodes: writer.nodes,
  };
}

function quantizationsOf({ inputs, nodes }: Graph, ranges: QuantizationPlan['ranges']): Map<Value, Quantization> {
  const quantizations = new Map<Value, Quantization>();
  for (const value of [...inputs, ...nodes.flatMap(({ outputs }) => outputs)]) {
    const range = value && ranges.get(value.name);
    if (range) quantizations.set(value, activationQuantization(range));
  }
  return quantizations;
}

/** Writes the nodes of a graph anew, with the pairs around what becomes whole numbers. */
class QuantizedWriter {
  readonly nodes: Node[] = [];
  /** By a value of the source, what stands for it. */
  private readonly written = new Map<Value, Value>();
  /** ONNX Runtime wants zero points written out, zeros too; many are the same. */
  private readonly zeroPoints = new Map<string, Value>();
  private readonly selected: ReadonlySet<string>;

  constructor(
    private readonly quantizations: ReadonlyMap<Value, Quantization>,
    private readonly plan: QuantizationPlan,
  ) {
    this.selected = new Set(plan.nodes);
  }

  /** What stands for a value of the source. */
  at(value: Value): Value {
    return this.written.get(value) ?? value;
  }

  writeInput(input: Value): void {
    const quantization = this.quantizations.get(input);
    if (quantization) this.writeRoundTrip(input, input, quantization);
  }

  writeNode(node: Node): void {
    const inputs = this.inputsOf(node);
    const outputs = node.outputs.map((output) => {
      if (!output) return output;
      const name = this.quantizations.has(output) ? `${output.name}/exact` : output.name;
      const copy = new Value(name, output.dtype, output.shape);
      this.written.set(output, copy);
      return copy;
    });
    this.nodes.push(node.with({ inputs, outputs }));
    node.outputs.forEach((output, index) => {
      const [quantization, from] = [output && this.quantizations.get(output), outputs[index]];
      if (output && quantization && from) this.writeRoundTrip(output, from, quantization);
    });
  }

  private inputsOf(node: Node): (Value | undefined)[] {
    const inputs = node.inputs.map((input) => input && this.at(input));
    const isSelected = isLayer(node) && this.selected.has(node.output().name);
    if (!isSelected && !(this.plan.storesAllWeights && hasWeight(node))) return inputs;
    const inputScale = isSelected ? this.quantizations.get(node.input(0))?.scale : undefined;
    if (isSelected && inputScale === undefined) throw new Error(`the range of "${node.input(0).name}" is not known`);
    const largest = isSelected && this.plan.reducesRange ? 63 : 127;
    const weight = this.writeWeight(node, largest, inputScale);
    const [x, , bias] = inputs;
    return bias ? [x, weight, bias] : [x, weight];
  }

  /** Writes `value`, computed as `from`, as whole numbers and back. */
  private writeRoundTrip(value: Value, from: Value, { scale, zeroPoint }: Quantization): void {
    const by = [
      constant(`${value.name}/scale`, floatTensor([], [scale])),
      this.zeroPoint(tensor('uint8', [], Uint8Array.of(zeroPoint))),
    ];
    const whole = new Value(`${value.name}/quantized`, 'uint8', value.shape);
    this.append('QuantizeLinear', `${value.name}/quantize`, [from, ...by], whole);
    const real = new Value(value.name, value.dtype, value.shape);
    this.written.set(value, this.append('DequantizeLinear', `${value.name}/dequantize`, [whole, ...by], real));
  }

  /** Writes a layer's weight as signed bytes, and gives what stands for it; `inputScale` where its input is in whole numbers. */
  private writeWeight(node: Node, largest: number, inputScale: number | undefined): Value {
    const [weight, name] = [node.input(1).constant, `${node.name}/weight`];
    const axis = operatorOf(node)?.channelAxis?.(node);
    if (!weight || axis === undefined) throw new Error(`the weight of "${node.name}" is not known`);
    const { whole, scales } = quantizeWeight(weight, { axis, largest, bias: node.inputs[2]?.constant, inputScale });
    const inputs = [
      constant(`${name}/quantized`, whole),
      constant(`${name}/scale`, floatTensor([scales.length], scales)),
      this.zeroPoint(tensor('int8', [scales.length], new Int8Array(scales.length))),
    ];
    const real = new Value(name, 'float32', whole.dims);
    return this.append('DequantizeLinear', `${name}/dequantize`, inputs, real, new Map([['axis', int(axis)]]));
  }

  private zeroPoint(of: Tensor): Value {
    const key = `${of.dtype} ${of.dims.join()} ${of.data[0] ?? ''}`;
    let value = this.zeroPoints.get(key);
    if (!value) this.zeroPoints.set(key, (value = constant(`zero_point_${this.zeroPoints.size}`, of)));
    return value;
  }

  private append(op: string, name: string, inputs: Value[], output: Value, attributes?: Node['attributes']): Value {
    this.nodes.push(new Node({ op, name, inputs, outputs: [output], ...(attributes && { attributes }) }));
    return output;
  }
}

/** Whether a node, a layer or a product, has a weight that can be held as bytes. */
function hasWeight(node: Node): boolean {
  const weight = node.inputs[1]?.constant;
  const holdsChannels = node.domain === '' && operatorOf(node)?.channelAxis !== undefined;
  return holdsChannels && weight?.dtype === 'float32' && weight.dims.length >= 2;
}

function constant(name: string, of: Tensor): Value {
  const value = new Value(name, of.dtype, of.dims);
  value.constant = of;
  return value;
}
