import { intTensor } from '../../onnx/tensor.js';
import { numbersOfConstant } from '../integers.js';
import { IMAGE_COUNT } from './imageCount.js';
import { type Attributes, describe, int, Node, Value } from '../graph.js';

/** What the rules cannot stack: an operator that they do not know, or one that works across images. */
export class NotStackable extends Error {
  constructor(readonly node: Node) {
    super(`${describe(node)} cannot work on several images at once`);
  }
}

/** How nodes are called that a source model has not, with a shape of their own: a tuned model needs none. */
const MADE = '/stacked';
const madeName = (name: string) => `${name}${MADE}`;
export const isMadeToStack = ({ name }: Node): boolean => name.endsWith(MADE);

/**
 * A graph in the making that computes several images at once, by the shapes that one image has. What the graph computes of images
 * is stacked: the values of one image [a, b, …] lie one behind the other, as [N·a, b, …], so that a value [1, b, …] is [N, b, …], and
 * an operator that leaves the first axis alone stays as it is. For one that does not, {@link apart} gives the images an axis of
 * their own, [N, a, b, …], and {@link join} takes it away again.
 */
export class Stack {
  readonly nodes: Node[] = [];
  private readonly separated = new Map<Value, Value>();
  private count: Value | undefined;

  /**
   * @param shapes of one image; absent for what an operator hides that ort-tl does not know.
   * @param image the first input of the graph, which has one image more in each row.
   */
  constructor(
    private readonly shapes: ReadonlyMap<Value, readonly number[]>,
    private readonly stacked: ReadonlySet<Value>,
    private readonly image: Value,
  ) {}

  /** Whether there is one of a value for each image; else it is the same for all. */
  isStacked = (value: Value | undefined): value is Value => value !== undefined && this.stacked.has(value);

  /** The shape of a value for one image. @throws NotStackable that names `node` where it is not known. */
  shapeOf(node: Node, value: Value): readonly number[] {
    const shape = value.constant?.dims ?? this.shapes.get(value);
    if (!shape || shape.includes(0)) throw new NotStackable(node);
    return shape;
  }

  isKnown = (value: Value): boolean => value.constant !== undefined || this.shapes.has(value);

  /** The numbers of a constant input. @throws NotStackable where they are computed. */
  constantOf(node: Node, index: number): number[] {
    const constant = node.inputs[index]?.constant;
    if (!constant) throw new NotStackable(node);
    return numbersOfConstant(constant);
  }

  /** Appends a node as it is. */
  keep(node: Node): void {
    this.nodes.push(node);
  }

  /** Appends an operator that `node` has become a part of, and gives its result. */
  append(node: Node, op: string, inputs: (Value | undefined)[], attributes: Attributes = new Map()): Value {
    const output = new Value(`${node.output().name}/${op}_${this.nodes.length}`);
    this.nodes.push(new Node({ op, name: madeName(output.name), inputs, outputs: [output], attributes }));
    return output;
  }

  /** Appends `node` with other inputs and attributes and its results apart, and joins those again. */
  keepApart(node: Node, inputs: (Value | undefined)[], attributes: Attributes = node.attributes): void {
    const outputs = node.outputs.map((output) => output && new Value(`${output.name}/apart`, output.dtype));
    this.nodes.push(node.with({ inputs, outputs, attributes }));
    node.outputs.forEach((output, index) => {
      const result = outputs[index];
      if (!output || !result) return;
      this.join(node, result, output);
      // Who reads it apart need not take apart what was joined.
      this.separated.set(output, result);
    });
  }

  /** A stacked value with an axis for the images: [N, ...shape], the shape that it has for one unless said. */
  apart(node: Node, value: Value, shape = this.shapeOf(node, value)): Value {
    const own = this.shapeOf(node, value);
    if (own.length === 0 && shape.length === 0) return value;
    if (own[0] === 1 && shape.length === own.length - 1 && shape.every((dim, axis) => dim === own[axis + 1]))
      return value;
    const isOwn = shape.join() === own.join();
    const known = isOwn ? this.separated.get(value) : undefined;
    if (known) return known;
    const apart = this.append(node, 'Reshape', [value, this.ints([-1, ...shape])]);
    if (isOwn) this.separated.set(value, apart);
    return apart;
  }

  /** Writes `output`, a result of `node`, from a value that lies the same in memory. */
  join(node: Node, from: Value, output: Value): void {
    const target = this.ints([-1, ...this.shapeOf(node, output).slice(1)]);
    this.nodes.push(
      new Node({ op: 'Reshape', name: madeName(`${output.name}/joined`), inputs: [from, target], outputs: [output] }),
    );
  }

  /** Writes `node`'s result from its first input, which lies the same in memory. */
  reshape(node: Node, from: Value = node.input(0)): void {
    const shape = this.shapeOf(node, node.output());
    const target = this.ints([-1, ...shape.slice(1)]);
    const name = node.op === 'Reshape' ? node.name : madeName(node.name);
    // What stands apart already lies the same in memory, and keeps axes of their own for the images and for the rest.
    const source = this.separated.get(from) ?? from;
    if (this.shapeOf(node, from).join() === [1, ...shape].join()) this.separated.set(node.output(), from);
    this.nodes.push(new Node({ op: 'Reshape', name, inputs: [source, target], outputs: node.outputs.slice(0, 1) }));
  }

  /** A value that is the same for all images once for each of them, apart: [N, ...shape]. */
  copies(node: Node, value: Value): Value {
    const shape = this.shapeOf(node, value);
    const target = this.append(node, 'Concat', [this.imageCount(), this.ints(shape)], new Map([['axis', int(0)]]));
    return this.append(node, 'Expand', [value, target]);
  }

  /** The same, stacked: [N·a, b, …]. */
  stackedCopies(node: Node, value: Value): Value {
    const [first, ...rest] = this.shapeOf(node, value);
    if (first !== 1) return this.append(node, 'Reshape', [this.copies(node, value), this.ints([-1, ...rest])]);
    const target = this.append(node, 'Concat', [this.imageCount(), this.ints(rest)], new Map([['axis', int(0)]]));
    return this.append(node, 'Expand', [value, target]);
  }

  /** A constant vector. */
  ints(numbers: readonly number[]): Value {
    const value = new Value(`ints_${numbers.join('_')}`, 'int64', [numbers.length]);
    value.constant = intTensor([numbers.length], numbers);
    return value;
  }

  /** [N]: how many images there are. */
  private imageCount(): Value {
    if (this.count) return this.count;
    this.count = new Value(IMAGE_COUNT, 'int64', [1]);
    this.nodes.unshift(
      new Node({
        op: 'Shape',
        name: IMAGE_COUNT,
        inputs: [this.image],
        outputs: [this.count],
        attributes: new Map([
          ['start', int(0)],
          ['end', int(1)],
        ]),
      }),
    );
    return this.count;
  }
}
