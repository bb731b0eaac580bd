import { type Attribute, Node, Value } from '../graph/graph.js';
import { floatTensor, intTensor, type Tensor, tensor } from '../onnx/tensor.js';

/** Nodes that are written one after another, and what they compute; all are called after `prefix`. */
export class NodeList {
  readonly nodes: Node[] = [];

  constructor(private readonly prefix: string) {}

  /** Appends a node, and gives what it computes. */
  op(type: string, inputs: (Value | undefined)[], attributes: Record<string, Attribute> = {}): Value {
    const name = this.name(type);
    const output = new Value(name);
    this.nodes.push(
      new Node({ op: type, name, inputs, outputs: [output], attributes: new Map(Object.entries(attributes)) }),
    );
    return output;
  }

  /** A list of whole numbers, int64. */
  whole(...numbers: readonly number[]): Value {
    return this.constant(intTensor([numbers.length], numbers));
  }

  /** One whole number without dimensions, int64. */
  wholeScalar(number: number): Value {
    return this.constant(intTensor([], [number]));
  }

  float(dims: readonly number[], numbers: readonly number[]): Value {
    return this.constant(floatTensor(dims, numbers));
  }

  /** In double precision. */
  double(number: number): Value {
    return this.constant(tensor('float64', [], Float64Array.of(number)));
  }

  constant(of: Tensor): Value {
    const value = new Value(this.name('Constant'), of.dtype, of.dims);
    value.constant = of;
    return value;
  }

  private count = 0;

  private name(type: string): string {
    return `${this.prefix}/${type}_${++this.count}`;
  }
}
