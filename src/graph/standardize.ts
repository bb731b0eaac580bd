import { floatTensor, intTensor } from '../onnx/tensor.js';
import { type Graph, isUniform, Node, Value } from './graph.js';
import { inferGraph } from './infer.js';
import { constantNodes } from './order.js';

/**
 * Takes apart each BatchNormalization that standardizes weights (it takes its statistics from what it normalizes, which is computed from
 * constants), as big transfer networks and networks without normalizers have them: so gradients reach the weights.
 */
export function unrollStandardization(graph: Graph): void {
  const fixed = constantNodes(graph.nodes);
  const isStandardizing = (node: Node) =>
    node.op === 'BatchNormalization' && node.domain === '' && node.int('training_mode', 0) === 1 && fixed.has(node);
  if (!graph.nodes.some(isStandardizing)) return;
  graph.nodes = graph.nodes.flatMap((node) => (isStandardizing(node) ? standardizing(node) : [node]));
  inferGraph(graph);
}

/** y = (x − μ)·γ/√(v + ε) + β, with mean μ and variance v of each channel of x [N, C, …] over all the rest. */
function standardizing(node: Node): Node[] {
  const [x, scale, shift] = [node.input(0), node.input(1), node.input(2)];
  const rank = x.shape?.length ?? 0;
  const nodes: Node[] = [];
  const append = (op: string, name: string, inputs: Value[]): Value => {
    const output = new Value(`${node.name}/${name}`, 'float32');
    nodes.push(new Node({ op, name: output.name, inputs, outputs: [output] }));
    return output;
  };
  const constant = (name: string, numbers: readonly number[], isInteger: boolean): Value => {
    const tensor = isInteger ? intTensor([numbers.length], numbers) : floatTensor([], numbers);
    const value = new Value(`${node.name}/${name}`, tensor.dtype, tensor.dims);
    value.constant = tensor;
    return value;
  };
  const axes = constant(
    'axes',
    Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== 1),
    true,
  );
  const perChannel = constant(
    'per_channel',
    Array.from({ length: rank }, (_, axis) => (axis === 1 ? -1 : 1)),
    true,
  );
  const centred = append('Sub', 'centred', [x, append('ReduceMean', 'mean', [x, axes])]);
  const variance = append('ReduceMean', 'variance', [append('Mul', 'squares', [centred, centred]), axes]);
  const epsilon = constant('epsilon', [node.float('epsilon', 1e-5)], false);
  const deviation = append('Sqrt', 'deviation', [append('Add', 'positive', [variance, epsilon])]);
  let result = append('Div', 'standardized', [centred, deviation]);
  // What only fills its place is no parameter.
  const isFilled = (value: Value, number: number) => isUniform(value) && value.constant?.data[0] === number;
  if (!isFilled(scale, 1)) result = append('Mul', 'scaled', [result, append('Reshape', 'scales', [scale, perChannel])]);
  if (!isFilled(shift, 0))
    result = append('Add', 'shifted', [result, append('Reshape', 'shifts', [shift, perChannel])]);
  const last = nodes.at(-1);
  if (last?.outputs[0] === result) last.outputs = [node.output()];
  node.output().producer = last;
  return nodes;
}
