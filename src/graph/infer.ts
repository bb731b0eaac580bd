import { checkNode, checkOutputs } from './check.js';
import type { Dim, Graph, Node, Value } from './graph.js';
import { type Known, LONGEST_VECTOR } from './integers.js';
import { inferNode, infersShapeOf, integersFrom } from './shapes.js';
import { readSourceNode } from './sourceNode.js';

/**
 * Infers all of a graph that was read from a file, and follows the integers that its nodes compute from shapes.
 * @throws UserError `bad-model` where a node does not fit those around it.
 */
export function inferGraph(graph: Graph): void {
  knownDims(graph);
}

/** The integers that are known of a graph's values, once its shapes are inferred. @throws as {@link inferGraph} does. */
export function knownDims(graph: Graph): Known {
  const known = new Map<Value, readonly Dim[]>();
  for (const node of graph.nodes) inferOne(node, known);
  return known;
}

/** Infers one node of a graph that was read from a file, whose inputs are inferred; adds to `known`. @throws UserError `bad-model`. */
export function inferOne(node: Node, known: Map<Value, readonly Dim[]>): void {
  readSourceNode(node, () => {
    assumeRows(node);
    if (infersShapeOf(node)) checkNode(node);
    inferNode(node, known);
    checkOutputs(node);
    const dims = integersFrom(node, known);
    // Integers that are put together from themselves double at every node.
    if (dims && dims.length <= LONGEST_VECTOR && node.outputs[0]) known.set(node.outputs[0], dims);
  });
}

/** Gives the first input of a Gemm the shape [images, inputs] where an operator that ort-tl does not know hides it. */
function assumeRows(node: Node): void {
  const [rows, weight] = node.inputs;
  const inputs = weight?.shape?.[node.int('transB', 0) === 1 ? 1 : 0];
  if (node.op !== 'Gemm' || node.int('transA', 0) === 1 || !rows || inputs === undefined) return;
  rows.isAssumed = rows.shape === undefined;
  if (!rows.isAssumed) return;
  rows.dtype ??= weight?.dtype;
  rows.shape = [{ batch: 1 }, inputs];
}
