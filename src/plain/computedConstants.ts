import { wholeTensor } from '../onnx/float16.js';
import type { GraphProto, NodeProto } from '../onnx/onnx_pb.js';
import { elementCount, floats, floatTensor, type Tensor, tensorOfProto } from '../onnx/tensor.js';
import { constantsOf, givenInputs, isOneOf, nodesBefore, numbersOf, producersOf } from './nodes.js';

type Arithmetic = (a: number, b: number) => number;
const ARITHMETIC = new Map<string, Arithmetic>([
  ['Add', (a, b) => a + b],
  ['Div', (a, b) => a / b],
  ['Mul', (a, b) => a * b],
  ['Sub', (a, b) => a - b],
]);

/** Operators that write numbers in another shape, of which only the numbers' order counts here. */
const RESHAPING = ['Flatten', 'Identity', 'Reshape', 'Squeeze', 'Unsqueeze'];

/** What a graph computes of constants alone, as far as a weight's scaling needs it. */
export class ComputedConstants {
  private readonly constants: ReturnType<typeof constantsOf>;
  private readonly producers: ReadonlyMap<string, NodeProto>;

  constructor(private readonly graph: GraphProto) {
    this.constants = constantsOf(graph);
    this.producers = producersOf(graph);
  }

  /** Whether a value depends on nothing that a program gives. */
  isConstant(name: string): boolean {
    if (this.constants.has(name)) return true;
    const given = new Set(givenInputs(this.graph).map((input) => input.name));
    if (given.has(name)) return false;
    return !nodesBefore(this.graph, [name]).some(({ input }) => input.some((each) => given.has(each)));
  }

  /** A value as float32; undefined where it is computed by what is not known here. */
  value(name: string): Tensor | undefined {
    const constant = this.constants.get(name);
    if (constant) return asFloats(() => wholeTensor(tensorOfProto(constant)));
    const node = this.producers.get(name);
    if (!node) return undefined;
    const [first = '', second = ''] = node.input;
    if (isOneOf(node, ...RESHAPING)) {
      const source = this.value(first);
      const dims = source && this.reshaped(node, source.dims, numbersOf(this.constants.get(second)));
      return source && dims && floatTensor(dims, floats(source));
    }
    const arithmetic = isOneOf(node, ...ARITHMETIC.keys()) ? ARITHMETIC.get(node.opType) : undefined;
    const [a, b] = arithmetic ? [this.value(first), this.value(second)] : [];
    return arithmetic && a && b ? combined(a, b, arithmetic) : undefined;
  }

  private reshaped(
    node: NodeProto,
    dims: readonly number[],
    target: readonly number[] | undefined,
  ): readonly number[] | undefined {
    if (node.opType === 'Identity') return dims;
    if (node.opType !== 'Reshape') return [elementCount(dims)];
    if (!target) return undefined;
    const kept = target.map((dim, axis) => (dim === 0 ? (dims[axis] ?? 1) : dim));
    const others = kept.filter((dim) => dim !== -1).reduce((product, dim) => product * dim, 1);
    return kept.map((dim) => (dim === -1 ? elementCount(dims) / others : dim));
  }
}

function asFloats(read: () => Tensor): Tensor | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Of two tensors of as many numbers, or one of them a single number. */
function combined(a: Tensor, b: Tensor, arithmetic: Arithmetic): Tensor | undefined {
  const [left, right] = [floats(a), floats(b)];
  const longer = left.length >= right.length ? a : b;
  if (left.length !== right.length && Math.min(left.length, right.length) !== 1) return undefined;
  const at = (numbers: Float32Array, index: number) => numbers[numbers.length === 1 ? 0 : index] ?? 0;
  return floatTensor(
    longer.dims,
    Float32Array.from({ length: elementCount(longer.dims) }, (_, index) =>
      arithmetic(at(left, index), at(right, index)),
    ),
  );
}
