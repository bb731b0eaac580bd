import { isNumber, product, wrap } from './dims.js';
import { type Graph, int, Node, sameDim, type Shape, Value } from './graph.js';
import { constantInts } from './integers.js';
import { operatorOf } from './operators.js';

/** One place along an axis of a value, which is all that is read of it. */
interface Selection {
  readonly axis: number;
  readonly index: number;
}

/** What the readers of a value want of it: one place, or everything. */
type Wanted = Selection | 'all';

/**
 * Computes of a value only the place along an axis that is read of it, as transformers read the class token alone of their last
 * block: what selects that place moves towards the graph's beginning, to where others need all of them. The result is the same;
 * nodes stay what they are, and their values get the length 1 along the axis.
 */
export function selectEarly(graph: Graph): void {
  // Which values are narrowed is decided by shapes and inputs as they were.
  const narrowed = narrowedOf(graph);
  const made = new Map<string, Value>();
  const nodes: Node[] = [];
  /** The place of `value` that a node reads, its axis kept, with length 1. */
  const selected = (value: Value, selection: Selection): Value => {
    if (narrowed.has(value)) return value;
    const { axis, index } = selection;
    const name = `${value.name}/place ${index} of axis ${axis}`;
    const have = made.get(name);
    if (have) return have;
    const result = new Value(name, value.dtype, oneAlong(value.shape ?? [], axis));
    nodes.push(
      new Node({
        op: 'Gather',
        name,
        inputs: [value, constantInts(`${name}/index`, [index])],
        outputs: [result],
        attributes: new Map([['axis', int(axis)]]),
      }),
    );
    made.set(name, result);
    return result;
  };
  const plans = graph.nodes.map((node) => {
    const [output] = node.outputs;
    const selection = output && narrowed.get(output);
    const own = selectionOf(node);
    return {
      node,
      output,
      selection,
      inputs: selection && selectsOfInputs(node, selection),
      read: own && narrowed.has(node.input(0)) ? own : undefined,
    };
  });
  const shapes = new Map<Value, Shape>();
  for (const { node, output, selection, inputs, read } of plans) {
    if (output && selection && inputs) {
      if (node.op === 'Reshape') node.inputs[1] = narrowTarget(node, output, selection.axis);
      node.inputs = node.inputs.map((input, index) => {
        const want = inputs[index];
        return input && want ? selected(input, want) : input;
      });
      shapes.set(output, oneAlong(output.shape ?? [], selection.axis));
    }
    nodes.push(read ? withoutAxis(node, read.axis) : node);
  }
  for (const [value, shape] of shapes) value.shape = shape;
  graph.nodes = nodes;
}

/** The values of which one place is computed, and which. */
function narrowedOf(graph: Graph): Map<Value, Selection> {
  const narrowed = new Map<Value, Selection>();
  for (const [value, want] of wantedOf(graph))
    if (want !== 'all' && value.producer && selectsOfInputs(value.producer, want)) narrowed.set(value, want);
  return narrowed;
}

/** What is read of each value. A node's readers stand behind it, so that they have said it when its turn comes. */
function wantedOf(graph: Graph): Map<Value, Wanted> {
  const wanted = new Map<Value, Wanted>(graph.outputs.map((output) => [output, 'all']));
  const want = (value: Value, more: Wanted) => {
    const have = wanted.get(value) ?? more;
    const agree =
      have === more || (have !== 'all' && more !== 'all' && have.axis === more.axis && have.index === more.index);
    wanted.set(value, agree ? have : 'all');
  };
  for (const node of graph.nodes.toReversed()) {
    const [output] = node.outputs;
    const own = selectionOf(node);
    const selection = output && wanted.get(output);
    const inputs = selection && selection !== 'all' ? selectsOfInputs(node, selection) : undefined;
    node.inputs.forEach((input, index) => {
      if (input) want(input, (index === 0 ? own : undefined) ?? inputs?.[index] ?? 'all');
    });
  }
  return wanted;
}

/** The place that a Gather of one index reads of its input. */
function selectionOf(node: Node): Selection | undefined {
  const shape = node.inputs[0]?.shape;
  const indices = node.inputs[1]?.constant;
  if (node.op !== 'Gather' || node.domain !== '' || !shape || indices?.data.length !== 1) return undefined;
  const axis = wrap(node.int('axis', 0), shape.length);
  const length = shape[axis];
  const index = Number(indices.data[0]);
  // One of the images is nobody's to choose, and an axis of length 1 has nothing to leave out.
  if (!isNumber(length) || length < 2 || indices.dims.length > 1) return undefined;
  return { axis, index: index < 0 ? index + length : index };
}

/** What a node needs of each input to compute one place of its result: undefined for all of an input, and where it needs all of every one. */
function selectsOfInputs(node: Node, selection: Selection): readonly (Selection | undefined)[] | undefined {
  const [output, ...others] = node.outputs;
  const shape = output?.shape;
  if (!shape || node.domain !== '' || output.dtype !== 'float32' || others.some((other) => other)) return undefined;
  if (node.inputs.some((input) => input && !input.shape)) return undefined;
  const first = (axis: number | undefined) => (axis === undefined ? undefined : [{ ...selection, axis }]);
  const from = node.inputs[0]?.shape ?? [];
  const normalized = () => wrap(node.int('axis', -1), shape.length);
  switch (node.op) {
    case 'LayerNormalization':
      return selection.axis < normalized() ? first(selection.axis) : undefined;
    case 'Softmax':
      return selection.axis === normalized() ? undefined : first(selection.axis);
    case 'Transpose':
      return first((node.ints('perm') ?? shape.map((_, axis) => shape.length - 1 - axis))[selection.axis]);
    case 'Reshape':
      return node.inputs[1]?.constant && first(sameAxis(from, shape, selection.axis));
    case 'MatMul':
      return from.length === shape.length && selection.axis === shape.length - 2 ? first(selection.axis) : undefined;
  }
  const operator = operatorOf(node);
  if (operator?.works === 'elementwise') return first(selection.axis);
  return operator?.works === 'pairwise' ? stretched(node, selection, shape) : undefined;
}

/** Of inputs that are stretched to `shape`: nothing is selected of what has length 1 there. */
function stretched({ inputs }: Node, { axis, index }: Selection, shape: Shape): (Selection | undefined)[] {
  return inputs.map((input) => {
    const own = axis - shape.length + (input?.shape?.length ?? 0);
    const length = input?.shape?.[own];
    return own < 0 || length === undefined || length === 1 ? undefined : { axis: own, index };
  });
}

/** The axis of `from` that a Reshape to `shape` keeps as its axis `axis`. */
function sameAxis(from: Shape, shape: Shape, axis: number): number | undefined {
  const length = shape[axis];
  const behind = product(shape.slice(axis + 1));
  if (!isNumber(length) || behind === undefined) return undefined;
  const found = from.findIndex((dim, place) => {
    const rest = dim === length ? product(from.slice(place + 1)) : undefined;
    return rest !== undefined && sameDim(rest, behind);
  });
  return found < 0 ? undefined : found;
}

function narrowTarget(node: Node, output: Value, axis: number): Value {
  const dims = oneAlong(output.shape ?? [], axis).map((dim) => (isNumber(dim) ? dim : -1));
  return constantInts(`${node.name}/narrow`, dims);
}

/** What stands in for a Gather of the only place that is left. */
function withoutAxis(node: Node, axis: number): Node {
  const [input, index] = node.inputs;
  const keeps = index?.constant?.dims.length === 1;
  return node.with(
    keeps
      ? { op: 'Identity', inputs: [input], attributes: new Map() }
      : { op: 'Squeeze', inputs: [input, constantInts(`${node.name}/axes`, [axis])], attributes: new Map() },
  );
}

const oneAlong = (shape: Shape, axis: number): Shape => shape.map((dim, place) => (place === axis ? 1 : dim));
