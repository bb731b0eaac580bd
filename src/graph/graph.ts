import type { DType, Tensor } from '../onnx/tensor.js';

/** A dimension: a whole number, or a multiple of the batch size N (`{ batch: 2 }` is 2·N). */
export type Dim = number | { readonly batch: number };
export type Shape = readonly Dim[];

/** An operator's attribute; `raw` keeps what ort-tl only passes on (subgraphs, type protos). */
export type Attribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensor'; readonly value: Tensor }
  | { readonly kind: 'raw'; readonly value: unknown };

export type Attributes = ReadonlyMap<string, Attribute>;

export const int = (value: number): Attribute => ({ kind: 'int', value });
export const float = (value: number): Attribute => ({ kind: 'float', value });
export const ints = (value: readonly number[]): Attribute => ({ kind: 'ints', value });
export const text = (value: string): Attribute => ({ kind: 'string', value });

/** A tensor that flows through a graph. `constant` is set for initializers, `producer` for a node's outputs. */
export class Value {
  producer: Node | undefined;
  constant: Tensor | undefined;
  /** Whether `shape` is what a reader asks for, not what the producer was found to give. */
  isAssumed = false;
  /** Whether `constant` is what a Constant node of a file holds, where most exporters write numbers of the program, not parameters. */
  isInline = false;
  /** Whether `constant` is a part of what the file holds: of what it holds for each of a fixed number of images, say. */
  isPart = false;

  constructor(
    public name: string,
    public dtype?: DType | undefined,
    public shape?: Shape | undefined,
  ) {}
}

/** What a node is made of. */
export interface NodeParts {
  readonly op: string;
  /** Default `''`, that of the standard operators. */
  readonly domain?: string;
  readonly name: string;
  /** An omitted optional one is `undefined`. */
  readonly inputs: (Value | undefined)[];
  readonly outputs: (Value | undefined)[];
  /** Default none. */
  readonly attributes?: Attributes;
  /** Where the source model reads the parameters among `inputs`, for a node that is a part of another. Default here. */
  readonly places?: ReadonlyMap<number, ParameterPlace>;
  /** How many of the inputs, the last ones, are what graphs in its attributes read from outside; default none. */
  readonly captured?: number;
}

/** An input of a node of the source model. */
export interface ParameterPlace {
  readonly node: Node;
  readonly input: number;
}

/** An operator at its place in a graph. */
export class Node {
  readonly op: string;
  readonly domain: string;
  readonly name: string;
  inputs: (Value | undefined)[];
  outputs: (Value | undefined)[];
  attributes: Attributes;
  readonly captured: number;
  private readonly places: ReadonlyMap<number, ParameterPlace>;

  constructor(parts: NodeParts) {
    const { op, domain = '', name, inputs, outputs, attributes = new Map(), captured = 0, places = new Map() } = parts;
    this.op = op;
    this.domain = domain;
    this.name = name;
    this.inputs = inputs;
    this.outputs = outputs;
    this.attributes = attributes;
    this.captured = captured;
    this.places = places;
    for (const output of outputs) if (output) output.producer = this;
  }

  /** A node like this one but for `parts`, which writes the outputs from now on. */
  with(parts: Partial<NodeParts>): Node {
    const { op, domain, name, inputs, outputs, attributes, captured, places } = this;
    return new Node({ op, domain, name, inputs, outputs, attributes, captured, places, ...parts });
  }

  /** Where the source model reads input `index`. */
  placeOf(index: number): ParameterPlace {
    return this.places.get(index) ?? { node: this, input: index };
  }

  /** Input `index`, which the operator requires. @throws Error when it is missing. */
  input(index: number): Value {
    const value = this.inputs[index];
    if (!value) throw new Error(`${describe(this)} lacks its input ${index}`);
    return value;
  }

  /** Output `index`. @throws Error when it is missing. */
  output(index = 0): Value {
    const value = this.outputs[index];
    if (!value) throw new Error(`${describe(this)} lacks its output ${index}`);
    return value;
  }

  int(name: string, fallback: number): number {
    const attribute = this.attributes.get(name);
    return attribute?.kind === 'int' ? attribute.value : fallback;
  }

  float(name: string, fallback: number): number {
    const attribute = this.attributes.get(name);
    return attribute?.kind === 'float' ? attribute.value : fallback;
  }

  string(name: string, fallback: string): string {
    const attribute = this.attributes.get(name);
    return attribute?.kind === 'string' ? attribute.value : fallback;
  }

  ints(name: string): readonly number[] | undefined {
    const attribute = this.attributes.get(name);
    return attribute?.kind === 'ints' ? attribute.value : undefined;
  }

  setAttribute(name: string, attribute: Attribute): void {
    this.attributes = new Map([...this.attributes, [name, attribute]]);
  }
}

/** A directed acyclic graph of operators; `nodes` is in topological order. */
export interface Graph {
  /** The version of the standard operator set that `nodes` are written in. */
  opset: number;
  inputs: Value[];
  outputs: Value[];
  nodes: Node[];
}

/** Whether a value is a constant of float32 that is one number all over. */
export function isUniform({ constant }: Value): boolean {
  if (constant?.dtype !== 'float32') return false;
  const { data } = constant;
  return data.length > 0 && data.every((number: number | bigint) => number === data[0]);
}

/** How messages name a node. */
export function describe(node: Node): string {
  return `node "${node.name || (node.outputs[0]?.name ?? '?')}" (${node.op})`;
}

/** Which nodes read each value. */
export function consumersOf(nodes: readonly Node[]): Map<Value, Node[]> {
  const consumers = new Map<Value, Node[]>();
  for (const node of nodes) {
    for (const input of new Set(node.inputs)) {
      if (!input) continue;
      const list = consumers.get(input);
      if (list) list.push(node);
      else consumers.set(input, [node]);
    }
  }
  return consumers;
}

/** The concrete shape of a value. @throws Error when it is unknown or depends on the batch size. */
export function concreteShape(value: Value): number[] {
  if (!value.shape) throw new Error(`the shape of "${value.name}" is unknown`);
  return value.shape.map((dim) => {
    if (typeof dim !== 'number') throw new Error(`the shape of "${value.name}" depends on the batch size`);
    return dim;
  });
}

/** `dim` with the batch size put in. */
export function bindDim(dim: Dim, batch: number): number {
  return typeof dim === 'number' ? dim : dim.batch * batch;
}

/** `shape` with the batch size put in. */
export function bindShape(shape: Shape, batch: number): number[] {
  return shape.map((dim) => bindDim(dim, batch));
}

export function sameDim(a: Dim, b: Dim): boolean {
  return typeof a === 'number' || typeof b === 'number' ? a === b : a.batch === b.batch;
}

export function showShape(shape: Shape | undefined): string {
  if (!shape) return '[?]';
  const dims = shape.map((dim) => (typeof dim === 'number' ? String(dim) : dim.batch === 1 ? 'N' : `${dim.batch}N`));
  return `[${dims.join(', ')}]`;
}
