import { floatTensor, intTensor, type Tensor } from '../../onnx/tensor.js';
import { type Attribute, describe, int, ints, Node, type ParameterPlace, Value } from '../graph.js';

/** What a decomposition cannot say: the node stays as it is, and has no gradient. */
export class NotDecomposable extends Error {}

/** The operators that one fused operator becomes. */
export class Decomposition {
  readonly nodes: Node[] = [];

  /** @param infer gives a node's outputs their shapes. */
  constructor(
    readonly node: Node,
    private readonly infer: (node: Node) => void,
  ) {}

  /** Appends an operator; `place` says which of its inputs is which of the fused node's, where that is a parameter. */
  op(
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes: Record<string, Attribute> = {},
    options: { domain?: string; name?: string; outputs?: number; output?: Value; places?: Record<number, number> } = {},
  ): Value {
    return this.ops(op, inputs, attributes, options)[0];
  }

  /** Appends an operator of several outputs. */
  ops(
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes: Record<string, Attribute> = {},
    { domain = '', name, outputs = 1, output, places = {} }: Parameters<Decomposition['op']>[3] & object = {},
  ): [Value, ...Value[]] {
    const base = `${this.node.name}/${op}_${this.nodes.length}`;
    const first = output ?? new Value(base);
    const others = Array.from({ length: outputs - 1 }, (_, index) => new Value(`${base}_${index + 1}`));
    const node = new Node({
      ...{ op, domain, name: name ?? base, inputs: [...inputs], outputs: [first, ...others] },
      attributes: new Map(Object.entries(attributes)),
      places: this.placesOf(places),
    });
    this.infer(node);
    this.nodes.push(node);
    return [first, ...others];
  }

  private placesOf(places: Readonly<Record<number, number>>): ReadonlyMap<number, ParameterPlace> {
    const entries = Object.entries(places).map(([own, input]) => [Number(own), { node: this.node, input }] as const);
    return new Map(entries);
  }

  add = (a: Value, b: Value, place?: number) =>
    this.op('Add', [a, b], {}, place === undefined ? {} : { places: { 1: place } });
  mul = (a: Value, b: Value) => this.op('Mul', [a, b]);
  matmul = (a: Value, b: Value) => this.op('MatMul', [a, b]);
  scaled = (value: Value, factor: number) => (factor === 1 ? value : this.mul(value, this.scalar(factor)));
  reshape = (value: Value, target: readonly number[]) => this.op('Reshape', [value, this.vector(target)]);
  transpose = (value: Value, perm: readonly number[]) => this.op('Transpose', [value], { perm: ints(perm) });

  /** `value` in parts of these lengths along an axis. */
  split(value: Value, axis: number, lengths: readonly number[]): Value[] {
    return this.ops('Split', [value, this.vector(lengths)], { axis: int(axis) }, { outputs: lengths.length });
  }

  scalar = (number: number) => this.constant(`scalar_${number}`, floatTensor([], [number]));
  vector = (numbers: readonly number[]) =>
    this.constant(`ints_${numbers.join('_')}`, intTensor([numbers.length], numbers));

  constant(name: string, tensor: Tensor): Value {
    const value = new Value(`${this.node.name}/${name}`, tensor.dtype, tensor.dims);
    value.constant = tensor;
    return value;
  }

  /** Has the last node write what the fused one gave. */
  finish(result: Value): void {
    const last = this.nodes.at(-1);
    const output = this.node.output();
    if (!last || last.output() !== result) {
      this.op('Identity', [result], {}, { output });
      return;
    }
    this.nodes[this.nodes.length - 1] = last.with({ outputs: [output, ...last.outputs.slice(1)] });
    output.dtype = result.dtype;
    output.shape = result.shape;
  }

  /** The length of an axis of a value. @throws NotDecomposable where it is not known. */
  length(value: Value, axis: number): number {
    const dim = value.shape?.at(axis);
    if (typeof dim === 'number') return dim;
    throw new NotDecomposable(`${describe(this.node)} reads "${value.name}", whose shape is not known`);
  }

  /** @throws NotDecomposable where an output beside the first is read, or an input that is not among `known` is there. */
  only(known: number, isRead: (value: Value) => boolean): void {
    const { inputs, outputs } = this.node;
    if (inputs.slice(known).some((input) => input) || outputs.slice(1).some((output) => output && isRead(output)))
      throw new NotDecomposable(`${describe(this.node)} has inputs or results that ort-tl does not know`);
  }
}
