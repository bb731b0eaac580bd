import { UserError } from '../errors.js';
import { canonicalize } from '../graph/canonical.js';
import { type Graph, type Node, type Value } from '../graph/graph.js';
import { inferGraph } from '../graph/infer.js';
import { graphOfModel } from '../graph/proto.js';
import type { ModelProto } from '../onnx/onnx_pb.js';

/** The side of images where the file leaves that open. */
const SIDE = 224;

/**
 * Whether a model computes of each of several images what it computes of one: whatever it makes of them has the images, and nothing but
 * them, as its first axis, and nothing works along that. False where that cannot be told.
 */
export function holdsForAnyBatch(model: ModelProto): boolean {
  const graph = inferred(model);
  const computed = new Set<Value>(graph?.inputs);
  for (const node of graph?.nodes ?? []) {
    // How large a value is does not depend on what the images show.
    if (node.op === 'Shape' || node.op === 'Size' || !node.inputs.some((input) => input && computed.has(input)))
      continue;
    if (!holds(node)) return false;
    for (const output of node.outputs) if (output) computed.add(output);
  }
  return graph !== undefined;
}

function inferred(model: ModelProto): Graph | undefined {
  try {
    const graph = graphOfModel(model, [SIDE, SIDE]);
    canonicalize(graph);
    inferGraph(graph);
    return graph;
  } catch (thrown) {
    if (thrown instanceof UserError) return undefined;
    throw thrown;
  }
}

/** Operators that take the first axis where nothing says another, or that take it by its length. */
const ALONG_FIRST: ReadonlySet<string> = new Set([
  'CumSum',
  'GatherElements',
  'ReverseSequence',
  'ScatterElements',
  'ScatterND',
]);

function holds(node: Node): boolean {
  const rank = node.inputs[0]?.shape?.length ?? 0;
  const axis = node.attributes.get('axis');
  const isAlongImages = axis?.kind === 'int' && (axis.value === 0 || axis.value === -rank);
  const isOpen = node.op === 'Squeeze' && !node.inputs[1];
  return !isAlongImages && !isOpen && !ALONG_FIRST.has(node.op) && node.outputs.every(isOfImages);
}

function isOfImages(value: Value | undefined): boolean {
  if (!value) return true;
  const [images, ...rest] = value.shape ?? [];
  return typeof images === 'object' && images.batch === 1 && rest.every((dim) => typeof dim === 'number');
}
