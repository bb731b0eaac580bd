import { UserError } from '../../errors.js';
import { MICROSOFT } from '../domains.js';
import { bindShape, consumersOf, type Dim, type Graph, type Node, type Value } from '../graph.js';
import { inferOne } from '../infer.js';
import { standardAttention } from './attention.js';
import { multiHeadAttention, packedAttention } from './contribAttention.js';
import { Decomposition, NotDecomposable } from './decomposition.js';
import { gatherRows } from './gatherRows.js';
import { biasAdd, biasGelu, biasSplitGelu, fusedMatMul, skipNormalization } from './fusedSums.js';

/** What a fused operator becomes. @throws NotDecomposable where it does what has no other form here. */
type Decompose = (d: Decomposition, isRead: (value: Value) => boolean) => void;

const FUSED: ReadonlyMap<string, Decompose> = new Map<string, Decompose>([
  [':Attention', standardAttention],
  [':GatherND', gatherRows],
  [`${MICROSOFT}:Attention`, packedAttention],
  [`${MICROSOFT}:BiasAdd`, biasAdd],
  [`${MICROSOFT}:BiasGelu`, biasGelu],
  [`${MICROSOFT}:BiasSplitGelu`, biasSplitGelu],
  [`${MICROSOFT}:FusedMatMul`, fusedMatMul],
  [`${MICROSOFT}:MultiHeadAttention`, multiHeadAttention],
  [`${MICROSOFT}:SkipLayerNormalization`, skipNormalization(true)],
  [`${MICROSOFT}:SkipSimplifiedLayerNormalization`, skipNormalization(false)],
]);

const decompositionOf = ({ domain, op }: Node) => FUSED.get(`${domain}:${op}`);

/**
 * Takes operators apart into those that have gradient rules, for a batch of `batch`: attention, sums that are computed with what
 * follows them, and rows that are read by several indices. Their parameters keep their names, so that a tuned model has the source's own operators. What has no other form
 * here stays.
 */
export function decomposeFused(graph: Graph, batch: number): void {
  if (!graph.nodes.some(decompositionOf)) return;
  const consumers = consumersOf(graph.nodes);
  const isRead = (value: Value) => consumers.has(value) || graph.outputs.includes(value);
  const shapes = graph.inputs.map((value) => [value, value.shape] as const);
  for (const [value, shape] of shapes) value.shape = shape && bindShape(shape, batch);
  const known = new Map<Value, readonly Dim[]>();
  try {
    graph.nodes = graph.nodes.flatMap((node) => {
      const nodes = takenApart(node, known, isRead) ?? [node];
      if (nodes[0] === node) inferOne(node, known);
      return nodes;
    });
  } catch (thrown) {
    // What does not hold together is told where the whole graph is inferred.
    if (!(thrown instanceof UserError)) throw thrown;
    for (const node of graph.nodes) for (const output of node.outputs) if (output) output.producer = node;
  } finally {
    for (const [value, shape] of shapes) value.shape = shape;
  }
}

function takenApart(
  node: Node,
  known: Map<Value, readonly Dim[]>,
  isRead: (value: Value) => boolean,
): readonly Node[] | undefined {
  const decompose = decompositionOf(node);
  if (!decompose || node.inputs.some((input) => input && !input.shape)) return undefined;
  const d = new Decomposition(node, (part) => inferOne(part, known));
  try {
    decompose(d, isRead);
    return d.nodes;
  } catch (thrown) {
    for (const output of node.outputs) if (output) output.producer = node;
    if (thrown instanceof NotDecomposable) return undefined;
    throw thrown;
  }
}
