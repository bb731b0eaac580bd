import { type Graph, int, Node, Value } from '../graph/graph.js';
import { castToHalf } from '../graph/halfCasts.js';
import { halfBits, halfNumber, halfTensor } from '../onnx/float16.js';
import { dtypeCode, floats } from '../onnx/tensor.js';

/**
 * Operators that are computed in float16. Others stay in float32, with a Cast on either side: reductions, normalizations, powers and
 * exponentials, whose sums and squares leave what float16 holds (65,504 at most), and operators that want some inputs in float32.
 */
const HALVED: ReadonlySet<string> = new Set([
  'Add',
  'AveragePool',
  'Clip',
  'Concat',
  'Conv',
  'DepthToSpace',
  'Div',
  'Elu',
  'Expand',
  'Flatten',
  'Gather',
  'Gelu',
  'Gemm',
  'GlobalMaxPool',
  'HardSigmoid',
  'HardSwish',
  'Identity',
  'LeakyRelu',
  'MatMul',
  'Max',
  'MaxPool',
  'Min',
  'Mul',
  'Neg',
  'PRelu',
  'Pad',
  'Relu',
  'Reshape',
  'Selu',
  'Sigmoid',
  'Slice',
  'SpaceToDepth',
  'Split',
  'Squeeze',
  'Sub',
  'Tanh',
  'Transpose',
  'Unsqueeze',
  'Where',
]);

/** The graph with weights and activations in float16; what goes in and comes out of it keeps its type. */
export function halfPrecision(graph: Graph): Graph {
  return castToHalf(graph, (node) => node.domain === '' && HALVED.has(node.op));
}

/** Elements from which on a vector in half its size makes up for the Cast. */
const LEAST_VECTOR = 32;
/** What a scale or a bias may be off by, as a share of it: float16 has 11 bits, fewer below 2^-14. */
const VECTOR_TOLERANCE = 2 ** -9;

/**
 * The graph with vectors, the scales and biases of channels, in float16 where that holds them; a Cast to float32 follows each, which
 * ONNX Runtime computes once, when it loads the model.
 */
export function halveVectors(graph: Graph): Graph {
  const casts: Node[] = [];
  const widened = new Map<Value, Value>();
  const stored = (value: Value): Value => {
    const { constant } = value;
    if (constant?.dtype !== 'float32' || constant.dims.length !== 1 || !holds(floats(constant))) return value;
    let wide = widened.get(value);
    if (!wide) {
      const half = new Value(`${value.name}/half`, 'float16', value.shape);
      half.constant = halfTensor(constant);
      wide = new Value(value.name, 'float32', value.shape);
      casts.push(
        new Node({
          op: 'Cast',
          name: `${value.name}/cast`,
          inputs: [half],
          outputs: [wide],
          attributes: new Map([['to', int(dtypeCode('float32'))]]),
        }),
      );
      widened.set(value, wide);
    }
    return wide;
  };
  for (const node of graph.nodes) node.inputs = node.inputs.map((input) => input && stored(input));
  return { ...graph, nodes: [...casts, ...graph.nodes] };
}

function holds(numbers: Float32Array): boolean {
  const isNear = (number: number) =>
    Math.abs(number - halfNumber(halfBits(number))) <= VECTOR_TOLERANCE * Math.abs(number);
  return numbers.length >= LEAST_VECTOR && numbers.every(isNear);
}
