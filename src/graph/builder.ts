import { UserError } from '../errors.js';
import { type DType, elementCount, floatTensor, intTensor, type Tensor } from '../onnx/tensor.js';
import {
  type Attribute,
  concreteShape,
  type Dim,
  float,
  type Graph,
  int,
  ints,
  Node,
  sameDim,
  type Shape,
  Value,
} from './graph.js';
import { LONGEST_VECTOR } from './integers.js';
import { inferNode, integersFrom } from './shapes.js';

export interface ConvAttributes {
  strides?: readonly number[];
  /** Begins of every spatial axis, then ends. */
  pads?: readonly number[];
  dilations?: readonly number[];
  group?: number;
}

/**
 * Appends operators to a graph. Its verbs are the operators' own names; every verb infers its result's type and shape at
 * once, so a mistake fails where it is made.
 */
export class Builder {
  readonly graph: Graph;
  private readonly names = new Set<string>();
  /** How many names were made from each base. */
  private readonly counts = new Map<string, number>();
  private readonly scalars = new Map<string, Value>();
  /** The few numbers that nodes compute from shapes. */
  private readonly known = new Map<Value, readonly Dim[]>();

  /**
   * @param blockSize of the blocked layout, where depthwise convolutions shall be in it; see domains.ts.
   * @param isForGpu whether a GPU's provider will run the graph: some gradients take forms that such providers have kernels for.
   */
  constructor(
    opset: number,
    readonly blockSize?: number,
    readonly isForGpu = false,
  ) {
    this.graph = { opset, inputs: [], outputs: [], nodes: [] };
  }

  /** A name that no value of the graph has, from `base`. */
  uniqueName(base: string): string {
    let name = base;
    let count = this.counts.get(base) ?? 0;
    while (this.names.has(name)) name = `${base}_${++count}`;
    this.counts.set(base, count);
    this.names.add(name);
    return name;
  }

  /** @throws UserError `name-taken` when the graph takes or gives a value of that name, for a model's own names come together here. */
  input(name: string, dtype: DType, shape: Shape): Value {
    const value = new Value(this.givenName(name), dtype, shape);
    this.graph.inputs.push(value);
    return value;
  }

  /**
   * Makes `value` an output called `name`, through an Identity where it is an input, a constant or another output already.
   * @throws UserError `name-taken` when the graph takes or gives another of that name.
   */
  output(name: string, value: Value): Value {
    let named = value;
    if (value.name !== name) {
      const isFree = value.producer && !value.constant && !this.graph.outputs.includes(value);
      if (!isFree) named = this.op('Identity', [value]);
      named.name = this.givenName(name);
    }
    this.graph.outputs.push(named);
    return named;
  }

  /** `name`, which others rely on: a value within the graph that is called so gives way when the graph is written. */
  private givenName(name: string): string {
    this.names.add(this.freeName(name));
    return name;
  }

  private freeName(name: string): string {
    if (![...this.graph.inputs, ...this.graph.outputs].some((value) => value.name === name)) return name;
    throw new UserError(
      'name-taken',
      `the model has a value called "${name}", as the training graph's own is called; rename it in the model`,
    );
  }

  constant(base: string, tensor: Tensor): Value {
    const value = new Value(this.uniqueName(base), tensor.dtype, tensor.dims);
    value.constant = tensor;
    return value;
  }

  /** A float32 scalar; one constant for each number. */
  scalar(number: number): Value {
    return this.cached(`scalar_${number}`, () => floatTensor([], [number]));
  }

  /** A float32 vector. */
  row(base: string, numbers: readonly number[]): Value {
    return this.constant(base, floatTensor([numbers.length], numbers));
  }

  /** An int64 vector, such as axes or a target shape. */
  vector(numbers: readonly number[]): Value {
    return this.cached(`ints_${numbers.join('_')}`, () => intTensor([numbers.length], numbers));
  }

  private cached(key: string, make: () => Tensor): Value {
    let value = this.scalars.get(key);
    if (!value) this.scalars.set(key, (value = this.constant(key, make())));
    return value;
  }

  /** Appends any operator that has one output, and gives that output. */
  op(
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes: Record<string, Attribute> = {},
    options: { domain?: string; outputName?: string; name?: string } = {},
  ): Value {
    const [output] = this.ops(op, inputs, 1, attributes, options);
    if (!output) throw new Error(`${op} has no output`);
    return output;
  }

  /** Appends any operator with `count` outputs. */
  ops(
    op: string,
    inputs: readonly (Value | undefined)[],
    count: number,
    attributes: Record<string, Attribute> = {},
    options: { domain?: string; outputName?: string; name?: string } = {},
  ): Value[] {
    const name = options.name ?? this.uniqueName(`${op}_node`);
    const outputs = Array.from(
      { length: count },
      (_, index) => new Value(this.uniqueName(options.outputName ?? (count === 1 ? op : `${op}_${index}`))),
    );
    const node = new Node({
      op,
      domain: options.domain ?? '',
      name,
      inputs: [...inputs],
      outputs: [...outputs],
      attributes: new Map(Object.entries(attributes)),
    });
    inferNode(node, this.known);
    const numbers = integersFrom(node, this.known);
    if (numbers && numbers.length <= LONGEST_VECTOR && outputs[0]) this.known.set(outputs[0], numbers);
    this.graph.nodes.push(node);
    return outputs;
  }

  // Elementwise; binary operators broadcast.
  abs = (x: Value) => this.op('Abs', [x]);
  add = (a: Value, b: Value) => this.op('Add', broadcast(a, b));
  sub = (a: Value, b: Value) => this.op('Sub', broadcast(a, b));
  mul = (a: Value, b: Value) => this.op('Mul', broadcast(a, b));
  div = (a: Value, b: Value) => this.op('Div', broadcast(a, b));
  neg = (x: Value) => this.op('Neg', [x]);
  exp = (x: Value) => this.op('Exp', [x]);
  log = (x: Value) => this.op('Log', [x]);
  pow = (a: Value, b: Value) => this.op('Pow', [a, b]);
  sqrt = (x: Value) => this.op('Sqrt', [x]);
  sigmoid = (x: Value) => this.op('Sigmoid', [x]);
  tanh = (x: Value) => this.op('Tanh', [x]);
  relu = (x: Value) => this.op('Relu', [x]);
  equal = (a: Value, b: Value) => this.op('Equal', [a, b]);
  greater = (a: Value, b: Value) => this.op('Greater', [a, b]);
  less = (a: Value, b: Value) => this.op('Less', [a, b]);
  and = (a: Value, b: Value) => this.op('And', [a, b]);
  where = (condition: Value, a: Value, b: Value) => this.op('Where', [condition, a, b]);
  /** `to` is an element type of ort-tl; see {@link dtypeCode} for its number. */
  cast = (x: Value, to: number) => this.op('Cast', [x], { to: int(to) });

  // Linear algebra.
  matmul = (a: Value, b: Value) => this.op('MatMul', [a, b]);
  gemm = (
    a: Value,
    b: Value,
    options: { transA?: boolean; transB?: boolean; alpha?: number; c?: Value; beta?: number } = {},
  ) =>
    this.op('Gemm', [a, b, ...(options.c ? [options.c] : [])], {
      transA: int(options.transA ? 1 : 0),
      transB: int(options.transB ? 1 : 0),
      alpha: float(options.alpha ?? 1),
      beta: float(options.beta ?? 1),
    });

  conv = (x: Value, w: Value, attributes: ConvAttributes = {}, bias?: Value) =>
    this.op('Conv', bias ? [x, w, bias] : [x, w], convAttributes(attributes));

  convTranspose = (x: Value, w: Value, attributes: ConvAttributes & { outputPadding?: readonly number[] } = {}) => {
    const { outputPadding, ...rest } = attributes;
    return this.op('ConvTranspose', [x, w], {
      ...convAttributes(rest),
      ...(outputPadding ? { output_padding: ints(outputPadding) } : {}),
    });
  };

  // Reductions: over `axes`, or over all when there are none.
  reduceSum = (x: Value, axes?: readonly number[], keepDims = true) => this.reduce('ReduceSum', x, axes, keepDims);
  reduceMean = (x: Value, axes?: readonly number[], keepDims = true) => this.reduce('ReduceMean', x, axes, keepDims);
  reduceMax = (x: Value, axes?: readonly number[], keepDims = true) => this.reduce('ReduceMax', x, axes, keepDims);
  /** Σx² over all elements, a scalar. */
  reduceSumSquare = (x: Value) => this.reduce('ReduceSumSquare', x, undefined, false);
  private reduce(op: string, x: Value, axes: readonly number[] | undefined, keepDims: boolean): Value {
    return this.op(op, axes ? [x, this.vector(axes)] : [x], { keepdims: int(keepDims ? 1 : 0) });
  }

  softmax = (x: Value, axis: number) => this.op('Softmax', [x], { axis: int(axis) });
  logSoftmax = (x: Value, axis: number) => this.op('LogSoftmax', [x], { axis: int(axis) });

  // Shapes.
  reshape = (x: Value, shape: readonly number[]) =>
    x.shape && x.shape.length === shape.length && shape.every((dim, axis) => x.shape?.[axis] === dim)
      ? x
      : this.op('Reshape', [x, this.vector(shape)]);
  transpose = (x: Value, permutation: readonly number[]) => this.op('Transpose', [x], { perm: ints(permutation) });
  expand = (x: Value, shape: readonly number[]) => this.op('Expand', [x, this.vector(shape)]);
  squeeze = (x: Value, axes: readonly number[]) => this.op('Squeeze', [x, this.vector(axes)]);
  unsqueeze = (x: Value, axes: readonly number[]) => this.op('Unsqueeze', [x, this.vector(axes)]);
  concat = (xs: readonly Value[], axis: number) => this.op('Concat', xs, { axis: int(axis) });
  slice = (
    x: Value,
    starts: readonly number[],
    ends: readonly number[],
    axes: readonly number[],
    steps?: readonly number[],
  ) =>
    this.op('Slice', [
      x,
      this.vector(starts),
      this.vector(ends),
      this.vector(axes),
      ...(steps ? [this.vector(steps)] : []),
    ]);
  /** Zero padding: `pads` holds the begins of every axis, then the ends. */
  pad = (x: Value, pads: readonly number[]) => this.op('Pad', [x, this.vector(pads)]);
  gather = (x: Value, indices: Value, axis: number) => this.op('Gather', [x, indices], { axis: int(axis) });
  /** Rows of `indices` [..] as one-hot vectors of length `depth`, float32. */
  oneHot = (indices: Value, depth: number) =>
    this.op('OneHot', [indices, this.vector([depth]), this.cached('off_on', () => floatTensor([2], [0, 1]))], {
      axis: int(-1),
    });

  /** Sums `x` over the axes that broadcasting added or stretched, so that it gets `shape` again. */
  unbroadcast(x: Value, shape: readonly number[]): Value {
    const from = concreteShape(x);
    const added = from.length - shape.length;
    const axes = from.flatMap((dim, axis) => (axis < added || (shape[axis - added] === 1 && dim !== 1) ? [axis] : []));
    if (axes.length === 0) return this.reshape(x, shape);
    // Over axes of length 1 behind others, ONNX Runtime's CPU provider goes one element at a time.
    const last = Math.max(
      from.findLastIndex((dim) => dim !== 1),
      ...axes,
    );
    const kept = from.slice(0, last + 1);
    const rows = elementCount(kept.slice(0, axes.length));
    if (axes.every((axis, index) => axis === index) && axes.length < kept.length)
      return this.reshape(this.sumOfRows(this.reshape(x, [rows, -1]), rows), shape);
    return this.reshape(this.reduceSum(this.reshape(x, kept), axes), shape);
  }

  /**
   * The sum of the rows of `x` [rows, width]: [width]. Many rows are summed in groups first, several at once and each group's sum
   * in cache, which the CPU provider does twice as fast.
   */
  private sumOfRows(x: Value, rows: number): Value {
    const groups = rows < LEAST_ROWS_GROUPED ? 1 : largestDivisor(rows, Math.floor(Math.sqrt(rows)));
    if (groups < 2) return this.reduceSum(x, [0], false);
    const grouped = this.reshape(x, [groups, rows / groups, concreteShape(x)[1] ?? 0]);
    return this.reduceSum(this.reduceSum(grouped, [1], false), [0], false);
  }
}

/** Below this, sums of rows take no time worth a second operator. */
const LEAST_ROWS_GROUPED = 256;

/** The largest divisor of `value` that is at most `most`. */
function largestDivisor(value: number, most: number): number {
  let divisor = most;
  while (value % divisor !== 0) divisor--;
  return divisor;
}

function convAttributes({ strides, pads, dilations, group }: ConvAttributes): Record<string, Attribute> {
  return {
    ...(strides ? { strides: ints(strides) } : {}),
    ...(pads ? { pads: ints(pads) } : {}),
    ...(dilations ? { dilations: ints(dilations) } : {}),
    ...(group && group !== 1 ? { group: int(group) } : {}),
  };
}

/** The operands of an elementwise operator, without an Expand to the other's shape: the operator does the same by itself. */
function broadcast(a: Value, b: Value): [Value, Value] {
  if (!a.shape || !b.shape || a.shape.length !== b.shape.length) return [a, b];
  const other = b.shape;
  if (!a.shape.every((dim, axis) => sameDim(dim, other[axis] ?? 1))) return [a, b];
  const narrow = (value: Value) => (value.producer?.op === 'Expand' ? value.producer.input(0) : value);
  const narrowA = narrow(a);
  return narrowA === a ? [a, narrow(b)] : [narrowA, b];
}
