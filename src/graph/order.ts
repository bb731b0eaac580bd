import { UserError } from '../errors.js';
import { describe, type Node, type Value } from './graph.js';

/** The nodes so ordered that each follows those it reads from; otherwise in their given order. @throws UserError `cyclic-graph`. */
export function sortTopologically(nodes: readonly Node[]): Node[] {
  const inside = new Set(nodes);
  const missing = new Map<Node, number>();
  const readers = new Map<Node, Node[]>();
  for (const node of nodes) {
    const sources = new Set(
      node.inputs.flatMap((input) => (input?.producer && inside.has(input.producer) ? [input.producer] : [])),
    );
    missing.set(node, sources.size);
    for (const source of sources) {
      const list = readers.get(source);
      if (list) list.push(node);
      else readers.set(source, [node]);
    }
  }
  const position = new Map(nodes.map((node, index) => [node, index]));
  const isSorted = nodes.every((node) =>
    node.inputs.every((input) => !input?.producer || (position.get(input.producer) ?? -1) < (position.get(node) ?? 0)),
  );
  if (isSorted) return [...nodes];

  const ready = nodes.filter((node) => missing.get(node) === 0);
  const sorted: Node[] = [];
  for (const node of ready) {
    sorted.push(node);
    for (const reader of readers.get(node) ?? []) {
      const left = (missing.get(reader) ?? 0) - 1;
      missing.set(reader, left);
      if (left === 0) ready.push(reader);
    }
  }
  const stuck = nodes.find((node) => (missing.get(node) ?? 0) > 0);
  if (stuck)
    throw new UserError('cyclic-graph', `${describe(stuck)} depends on its own output; the model file is damaged`);
  return sorted;
}

/** The nodes that any of `targets` depends on, in the order of `nodes`. */
export function ancestors(nodes: readonly Node[], targets: Iterable<Value>): Node[] {
  const needed = new Set<Value>(targets);
  const found: Node[] = [];
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((output) => output && needed.has(output))) continue;
    for (const input of node.inputs) if (input) needed.add(input);
    found.push(node);
  }
  return found.reverse();
}

/** The nodes that compute from constants alone, such as the transposition of a weight. */
export function constantNodes(nodes: readonly Node[]): Set<Node> {
  const values = new Set<Value>();
  const found = new Set<Node>();
  for (const node of nodes) {
    const inputs = node.inputs.filter((input): input is Value => input !== undefined);
    if (inputs.length === 0 || !inputs.every((input) => input.constant ?? values.has(input))) continue;
    for (const output of node.outputs) if (output) values.add(output);
    found.add(node);
  }
  return found;
}

/** The nodes that depend on any of `sources`, and the values that they write. */
export function descendants(nodes: readonly Node[], sources: Iterable<Value>): { nodes: Node[]; values: Set<Value> } {
  const values = new Set<Value>(sources);
  const found: Node[] = [];
  for (const node of nodes) {
    if (!node.inputs.some((input) => input && values.has(input))) continue;
    for (const output of node.outputs) if (output) values.add(output);
    found.push(node);
  }
  return { nodes: found, values };
}
