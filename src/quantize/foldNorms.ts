import { Builder } from '../graph/builder.js';
import type { Graph, Node, Value } from '../graph/graph.js';
import { lowerNodes, type Rewrite } from '../graph/lower.js';

/**
 * The graph with BatchNormalizations in their convolutions' weights, and every other operator as it was: what is quantized.
 * Activations keep their names.
 */
export function foldNorms(graph: Graph): Graph {
  const g = new Builder(graph.opset);
  const given = new Map<Value, Value>(
    graph.inputs.map((input) => [input, g.input(input.name, input.dtype ?? 'float32', input.shape ?? [])]),
  );
  // x·σ(x) as one node would be none that there is in whole numbers.
  const apart: Rewrite = (node, at) => g.sigmoid(at(node.input(0)));
  const rewrites = new Map<Node, Rewrite>(
    graph.nodes.flatMap((node) => (node.op === 'Sigmoid' && node.domain === '' ? [[node, apart] as const] : [])),
  );
  const { at, lowered } = lowerNodes(g, graph.nodes, given, rewrites);
  // Last, for the builder would take a node's name for a value's.
  for (const [value, copy] of lowered) if (copy.producer) copy.name = value.name;
  g.graph.outputs.push(...graph.outputs.map(at));
  return g.graph;
}
