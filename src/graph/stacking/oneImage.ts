import { UserError } from '../../errors.js';
import { intTensor, type Tensor } from '../../onnx/tensor.js';
import { bindShape, describe, type Graph, type Node, Value } from '../graph.js';
import { knownDims } from '../infer.js';
import { numbersOfConstant } from '../integers.js';

/**
 * Turns a graph that was exported for a batch of `batch` into one for a batch of 1: shapes that it states, and constants that hold the same for
 * each image, as a class token that was stretched.
 * @throws UserError `fixed-batch` where a constant holds something else for each of them.
 */
export function forOneImage(graph: Graph, batch: number): void {
  const [image] = graph.inputs;
  if (!image?.shape || batch === 1) return;
  const open = image.shape;
  image.shape = bindShape(open, batch);
  try {
    knownDims(graph);
  } catch (thrown) {
    // What does not hold together for its own batch is damaged, which is told of the graph as it is.
    image.shape = open;
    if (thrown instanceof UserError) return;
    throw thrown;
  }
  const isOfAll = (value: Value | undefined) => !value?.constant && value?.shape?.[0] === batch;
  for (const node of graph.nodes) {
    if (node.domain !== '') continue;
    const first = node.inputs[0]?.shape?.[0];
    if (node.op === 'Reshape' && typeof first === 'number' && first % batch === 0) shrinkTarget(node, 1, batch);
    if (node.op === 'Expand' || node.op === 'ConstantOfShape') shrinkTarget(node, node.op === 'Expand' ? 1 : 0, batch);
    if (node.op === 'Resize' && isOfAll(node.inputs[0])) shrinkTarget(node, 3, batch);
    if (node.inputs.some(isOfAll))
      node.inputs = node.inputs.map((input) => (isJoined(node, input, batch) ? firstOf(node, input, batch) : input));
  }
  image.shape = open;
}

/** A target [8, …], or [8·k, …], of a batch of 8 says [1, …], or [k, …], of one image. */
function shrinkTarget(node: Node, index: number, batch: number): void {
  const target = node.inputs[index];
  if (!target?.constant) return;
  const [first = 0, ...rest] = numbersOfConstant(target.constant);
  if (first < batch || first % batch !== 0) return;
  const shrunk = new Value(`${target.name}/one`, 'int64', target.shape);
  shrunk.constant = intTensor([rest.length + 1], [first / batch, ...rest]);
  node.inputs[index] = shrunk;
}

const JOINING: ReadonlySet<string> = new Set(['Add', 'Concat', 'Div', 'Mul', 'Sub', 'Where']);

/** Whether a constant has something for each image, where it meets what is computed of them. */
function isJoined(node: Node, input: Value | undefined, batch: number): input is Value {
  const rank = node.outputs[0]?.shape?.length;
  return JOINING.has(node.op) && input?.constant?.dims[0] === batch && input.constant.dims.length === rank;
}

function firstOf(node: Node, { name, constant, dtype }: Value, batch: number): Value {
  if (!constant) throw new Error('unreachable');
  const { data, dims } = constant;
  const length = data.length / batch;
  for (let index = length; index < data.length; index++) {
    if (data[index] === data[index % length]) continue;
    throw new UserError(
      'fixed-batch',
      `the model was exported for a batch of ${batch}, and "${name}", which ${describe(node)} reads, differs from image to image; export it with a dynamic batch`,
    );
  }
  const first = new Value(`${name}/one`, dtype, [1, ...dims.slice(1)]);
  first.constant = { ...constant, dims: [1, ...dims.slice(1)], data: data.slice(0, length) } satisfies Tensor;
  first.isPart = true;
  return first;
}
