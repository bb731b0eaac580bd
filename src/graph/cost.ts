import type { Graph, Node, Value } from './graph.js';
import { operatorOf } from './operators.js';
import { bytesOfValue, elementsOf } from './valueSize.js';

/** Multiply-adds of a node for a batch of `batch`; an operator that is no matrix product counts one for each element. */
export function multiplyAdds(node: Node, batch = 1): number {
  const own = operatorOf(node)?.multiplyAdds;
  return own ? own(node, batch) : Math.max(elementsOf(node.outputs[0], batch), elementsOf(node.inputs[0], batch));
}

/**
 * Bytes of activations alive at once while ONNX Runtime's sequential executor runs a graph: equal nodes once, in its order, each
 * value freed after its last reader. Constants, inputs and outputs of the graph are not counted.
 */
export function peakActivationBytes({ nodes, outputs }: Pick<Graph, 'nodes' | 'outputs'>): number {
  const same = equalValues(nodes, new Set(outputs));
  const rootOf = (value: Value): Value => {
    const first = same.get(value) ?? value;
    const { producer } = first;
    return producer && operatorOf(producer)?.isAlias ? rootOf(producer.input(0)) : first;
  };
  const run = executionOrder(
    nodes.filter((node) => node.outputs.some((output) => output && !same.has(output))),
    (value) => same.get(value) ?? value,
  );
  const lastReader = new Map<Value, number>();
  run.forEach((node, index) => {
    for (const input of node.inputs) if (input) lastReader.set(rootOf(input), index);
  });
  // Where an output is another name for a value's memory, the runtime writes that value into the output at once.
  const given = new Set(outputs.map(rootOf));
  const freed = new Map<number, number>();
  const bytes = (value: Value | undefined) =>
    !value || given.has(value) || rootOf(value) !== value ? 0 : bytesOfValue(value);
  let live = 0;
  let peak = 0;
  run.forEach((node, index) => {
    for (const output of node.outputs) {
      if (!output) continue;
      live += bytes(output);
      const last = lastReader.get(output) ?? index;
      freed.set(last, (freed.get(last) ?? 0) + bytes(output));
    }
    peak = Math.max(peak, live);
    live -= freed.get(index) ?? 0;
  });
  return peak;
}

/** Finds nodes that the runtime computes only once because they are equal; gives the first one's value by each of the others'. */
function equalValues(nodes: readonly Node[], outputs: ReadonlySet<Value>): Map<Value, Value> {
  const same = new Map<Value, Value>();
  const numbers = new Map<Value, number>();
  const numberOf = (value: Value | undefined) => {
    if (!value) return -1;
    const first = same.get(value) ?? value;
    const number = numbers.get(first) ?? numbers.size;
    numbers.set(first, number);
    return number;
  };
  const known = new Map<string, Node>();
  for (const node of nodes) {
    // A key holds neither tensors nor what ort-tl only passes on.
    if ([...node.attributes.values()].some(({ kind }) => kind === 'tensor' || kind === 'raw')) continue;
    const attributes = [...node.attributes].sort(([a], [b]) => (a < b ? -1 : 1));
    const key = JSON.stringify([node.domain, node.op, node.inputs.map(numberOf), attributes]);
    const before = known.get(key);
    if (!before) known.set(key, node);
    else if (!node.outputs.some((output) => output && outputs.has(output)))
      node.outputs.forEach((output, index) => {
        const first = before.outputs[index];
        if (output && first) same.set(output, first);
      });
  }
  return same;
}

/**
 * The order in which ONNX Runtime's sequential executor runs `nodes`: from the last node whose result nobody reads, whatever it needs
 * before it, of a node's inputs the one that stands last in the file first (GraphViewer's reverse depth-first search).
 */
function executionOrder(nodes: readonly Node[], at: (value: Value) => Value = (value) => value): Node[] {
  const position = new Map(nodes.map((node, index) => [node, index]));
  const sourcesOf = (node: Node) =>
    node.inputs
      .flatMap((input) => (input && at(input).producer) ?? [])
      .filter((source) => position.has(source))
      .sort((a, b) => (position.get(a) ?? 0) - (position.get(b) ?? 0));
  const read = new Set(nodes.flatMap(sourcesOf));
  const order = new Set<Node>();
  const seen = new Set<Node>();
  const stack = nodes.filter((node) => !read.has(node)).map((node) => ({ node, isDone: false }));
  for (let entry = stack.pop(); entry; entry = stack.pop()) {
    const { node, isDone } = entry;
    if (isDone) order.add(node);
    if (isDone || seen.has(node)) continue;
    seen.add(node);
    stack.push({ node, isDone: true });
    for (const source of sourcesOf(node)) if (!seen.has(source)) stack.push({ node: source, isDone: false });
  }
  return [...order];
}
