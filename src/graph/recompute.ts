import { dtypeCode, elementCount } from '../onnx/tensor.js';
import type { Builder } from './builder.js';
import { BLOCKED } from './domains.js';
import { concreteShape, consumersOf, type Node, type Value } from './graph.js';
import { operatorOf } from './operators.js';
import { ancestors, descendants } from './order.js';
import { bytesOfValue, elementsOf } from './valueSize.js';

/** What is saved at least, for a few more small operators. */
const SMALLEST_BYTES = 2 ** 16;
/** An input of fewer elements than this share of the result's is kept, such as the gate of a squeeze-excite block. */
const SMALL_SHARE = 1 / 4;

/**
 * Lets the backward pass of the training graph that `g` holds compute again, from what the convolutions gave, what the `forward`
 * nodes make of it in a pass over memory or two (activations, gates, the blocked layout), in place of keeping it: about a third of
 * the memory for less than a tenth more work. Everything that depends on `logits` is the backward pass, or the loss.
 * @returns the nodes that the graph's outputs need, in order.
 */
export function recompute(g: Builder, forward: ReadonlySet<Node>, logits: Value): Node[] {
  const { nodes, outputs } = g.graph;
  const needed = ancestors(nodes, outputs);
  const late = descendants(needed, [logits]);
  const isForward = (node: Node | undefined): node is Node =>
    node !== undefined && forward.has(node) && !node.outputs.some((output) => output && late.values.has(output));
  const consumers = consumersOf(needed);
  const backwardReaders = (value: Value) => (consumers.get(value) ?? []).filter((node) => !forward.has(node));
  const sourceOf = ({ producer }: Value) => (isForward(producer) ? largeInput(producer) : undefined);

  const chains = new Map<Value, Value[]>();
  for (const value of needed.filter(isForward).flatMap((node) => node.outputs)) {
    if (!value || !sourceOf(value) || backwardReaders(value).length === 0) continue;
    let root = value;
    for (let source = sourceOf(root); source; source = sourceOf(root)) root = source;
    chains.set(root, [...(chains.get(root) ?? []), value]);
  }

  const position = new Map(needed.map((node, index) => [node, index]));
  for (const [root, values] of chains) {
    const isKept = backwardReaders(root).length > 0;
    const saved = (isKept ? 0 : -bytesOfValue(root)) + values.reduce((sum, value) => sum + bytesOfValue(value), 0);
    const moment = firstGradient(values.flatMap(backwardReaders), consumers, late, position);
    if (saved < SMALLEST_BYTES || !moment) continue;
    const again = new Map<Value, Value>([[root, afterwards(g, root, moment)]]);
    const recomputed = (value: Value): Value => {
      const known = again.get(value);
      if (known) return known;
      const [source, { producer }] = [sourceOf(value), value];
      if (!source || !producer) throw new Error('unreachable');
      const before = recomputed(source);
      const made = g.op(
        producer.op,
        producer.inputs.map((input) => (input === source ? before : input)),
        Object.fromEntries(producer.attributes),
        { domain: producer.domain },
      );
      again.set(value, made);
      return made;
    };
    for (const value of values) {
      const made = recomputed(value);
      for (const node of backwardReaders(value))
        node.inputs = node.inputs.map((input) => (input === value ? made : input));
    }
  }
  return inOrder(needed, outputs);
}

/** The input that a node, cheap to run again, works through; undefined where it has several, or is no such node. */
function largeInput(node: Node): Value | undefined {
  const isReordering = node.op === 'ReorderInput' && node.domain === BLOCKED;
  const isCheap = isReordering || operatorOf(node)?.works !== undefined;
  if (!isCheap || node.outputs.length !== 1) return undefined;
  const least = SMALL_SHARE * elementsOf(node.output());
  const [source, ...others] = new Set(node.inputs.filter((input) => elementsOf(input) > least));
  return others.length === 0 && source && elementsOf(source) === elementsOf(node.output()) ? source : undefined;
}

/** What flows back into the first of the nodes that put `readers`' values together with a gradient. */
function firstGradient(
  readers: readonly Node[],
  consumers: ReadonlyMap<Value, readonly Node[]>,
  late: ReturnType<typeof descendants>,
  position: ReadonlyMap<Node, number>,
): Value | undefined {
  const isLate = (node: Node) => node.outputs.some((output) => output && late.values.has(output));
  let first: Node | undefined;
  const seen = new Set(readers);
  for (const node of seen) {
    if (!isLate(node)) {
      for (const output of node.outputs) for (const reader of (output && consumers.get(output)) ?? []) seen.add(reader);
    } else if (!first || (position.get(node) ?? 0) < (position.get(first) ?? 0)) first = node;
  }
  return first?.inputs.find((input) => input && late.values.has(input));
}

/**
 * `value` itself, but not before `moment` is known: a Reshape, which moves nothing, to a shape that takes a zero from it. ONNX
 * Runtime would do at once what depends on nothing later, and would merge it with what is there already.
 */
function afterwards(g: Builder, value: Value, moment: Value): Value {
  const one = g.slice(g.reshape(moment, [elementCount(concreteShape(moment))]), [0], [1], [0]);
  // Nothing is less than itself.
  const zero = g.cast(g.less(one, one), dtypeCode('int64'));
  const shape = concreteShape(value);
  const same = g.op('Reshape', [value, g.add(zero, g.vector(shape))]);
  same.shape = shape;
  return same;
}

/** `nodes`, and before each whatever else it reads. */
function inOrder(nodes: readonly Node[], outputs: readonly Value[]): Node[] {
  const ordered = new Set<Node>();
  const add = (node: Node): void => {
    if (ordered.has(node)) return;
    for (const input of node.inputs) if (input?.producer) add(input.producer);
    ordered.add(node);
  };
  for (const node of nodes) add(node);
  return ancestors([...ordered], outputs);
}
