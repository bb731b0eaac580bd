import type { GraphProto, NodeProto } from './onnx_pb.js';
import { subgraphsOf } from './tensorsOf.js';

/** What the graphs in a node's attributes read from outside themselves. */
export function capturedBy(node: NodeProto): string[] {
  return [...new Set(subgraphsOf(node).flatMap(capturedByGraph))];
}

/** All that a node reads: its inputs, and what the graphs in its attributes read from outside. */
export function readsOf(node: NodeProto): string[] {
  return [...node.input.filter((name) => name !== ''), ...capturedBy(node)];
}

function capturedByGraph({ input, initializer, node, output }: GraphProto): string[] {
  const own = new Set([...[...input, ...initializer].map(({ name }) => name), ...node.flatMap((each) => each.output)]);
  return [...node.flatMap(readsOf), ...output.map(({ name }) => name)].filter((name) => !own.has(name));
}

/** Has a node and the graphs in its attributes read other values, by `rename`; what those graphs define themselves they keep. */
export function renameReads(node: NodeProto, rename: (name: string) => string): void {
  node.input = node.input.map((name) => (name === '' ? name : rename(name)));
  for (const graph of subgraphsOf(node)) {
    const own = new Set([
      ...[...graph.input, ...graph.initializer].map(({ name }) => name),
      ...graph.node.flatMap((each) => each.output),
    ]);
    const within = (name: string) => (own.has(name) ? name : rename(name));
    for (const each of graph.node) renameReads(each, within);
    for (const output of graph.output) output.name = within(output.name);
  }
}
