import { halfTensor } from '../onnx/float16.js';
import { dtypeCode } from '../onnx/tensor.js';
import { type Graph, int, Node, Value } from './graph.js';

/**
 * The graph with the nodes in float16 that `isHalved` chooses, constants too, and a Cast wherever the type changes; what goes in and comes out
 * keeps its type. `isHalf` says of a value that was computed before whether it is there in float16 alone.
 */
export function castToHalf(graph: Graph, isHalved: (node: Node, isHalf: (value: Value) => boolean) => boolean): Graph {
  const nodes: Node[] = [];
  /** What stands for each value of the source, in either type; made when it is first read. */
  const halves = new Map<Value, Value>();
  const wholes = new Map<Value, Value>(graph.inputs.map((input) => [input, input]));
  const cast = (from: Value, to: 'float16' | 'float32', name: string): Value => {
    const output = new Value(name, to, from.shape);
    nodes.push(
      new Node({
        op: 'Cast',
        name: `${name}/cast`,
        inputs: [from],
        outputs: [output],
        attributes: new Map([['to', int(dtypeCode(to))]]),
      }),
    );
    return output;
  };
  const inHalf = (value: Value): Value => {
    if (value.dtype !== 'float32') return wholes.get(value) ?? value;
    let half = halves.get(value);
    if (half) return half;
    if (value.constant) {
      half = new Value(`${value.name}/half`, 'float16', value.shape);
      half.constant = halfTensor(value.constant);
    } else half = cast(wholes.get(value) ?? value, 'float16', `${value.name}/half`);
    halves.set(value, half);
    return half;
  };
  const inWhole = (value: Value): Value => {
    const whole = wholes.get(value);
    if (whole) return whole;
    const half = halves.get(value);
    if (value.constant || !half) return value;
    const made = cast(half, 'float32', `${value.name}/whole`);
    wholes.set(value, made);
    return made;
  };
  /** Those that nodes gave in float16. */
  const computed = new Set<Value>();
  for (const node of graph.nodes) {
    const halved = isHalved(node, (value) => computed.has(value));
    const inputs = node.inputs.map((input) => input && (halved ? inHalf(input) : inWhole(input)));
    const outputs = node.outputs.map((output) => {
      if (!output) return output;
      const isHalf = halved && output.dtype === 'float32';
      const copy = new Value(output.name, isHalf ? 'float16' : output.dtype, output.shape);
      (isHalf ? halves : wholes).set(output, copy);
      if (isHalf) computed.add(output);
      return copy;
    });
    nodes.push(node.with({ inputs, outputs }));
  }
  const outputs = graph.outputs.map((output) => {
    const whole = inWhole(output);
    const half = computed.has(output) ? halves.get(output) : undefined;
    if (!half) return whole;
    half.name = `${output.name}/half`;
    whole.name = output.name;
    return whole;
  });
  return { opset: graph.opset, inputs: graph.inputs, outputs, nodes };
}
