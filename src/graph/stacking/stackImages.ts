import { UserError } from '../../errors.js';
import { tensor, type Tensor } from '../../onnx/tensor.js';
import { isNumber } from '../dims.js';
import { bindShape, type Dim, type Graph, Node, type Shape, showShape, Value } from '../graph.js';
import { inferGraph, knownDims } from '../infer.js';
import { LONGEST_VECTOR } from '../integers.js';
import { infersShapeOf } from '../shapes.js';
import { forOneImage } from './oneImage.js';
import { NotStackable, Stack } from './stack.js';
import { stackNode } from './rules.js';

/**
 * Rewrites a graph from a file so that it computes for any number of images what it computes for one: shapes and places that it
 * computes are those of one image, and become constants; what stands for one image stands for each (see {@link Stack}).
 * `stated` is the number of images that the file says it takes; undefined where it leaves that open.
 * Leaves the graph as it is where the file leaves it open and one image says too little.
 * @throws UserError `fixed-batch` where a file for a fixed number of images cannot be rewritten.
 */
export function stackImages(graph: Graph, stated: number | undefined): void {
  if (graph.inputs.length !== 1) return;
  const before = { nodes: [...graph.nodes], outputs: graph.outputs };
  const shapes = new Map(valuesOf(graph).map((value) => [value, value.shape]));
  const restore = () => {
    Object.assign(graph, before);
    for (const node of graph.nodes) for (const output of node.outputs) if (output) output.producer = node;
    for (const [value, shape] of shapes) value.shape = shape;
  };
  try {
    if (stated !== undefined) forOneImage(graph, stated);
    if (!rewrite(graph, shapes)) restore();
  } catch (thrown) {
    restore();
    if (thrown instanceof NotStackable && stated !== undefined) throw refusal(thrown, graph, stated);
    const isTold = thrown instanceof UserError && thrown.code !== 'fixed-batch';
    if (!(thrown instanceof NotStackable || isTold)) throw thrown;
  }
}

function refusal({ node, message }: NotStackable, { inputs }: Graph, stated: number): UserError {
  const [input] = inputs;
  return new UserError(
    'fixed-batch',
    `the model was exported for a batch of ${stated}, and ${message.replace(/ at once$/, '')}; export it with a dynamic batch (torch.onnx.export with dynamic_axes={"${input?.name ?? 'input'}": {0: "N"}})`,
    { cause: node },
  );
}

/** Does the work; gives false where the graph of one image does not hold together. */
function rewrite(graph: Graph, before: ReadonlyMap<Value, Shape | undefined>): boolean {
  const known = bound(graph);
  if (!known) return false;
  const shapes = new Map<Value, readonly number[]>();
  for (const value of valuesOf(graph)) if (value.shape) shapes.set(value, bindShape(value.shape, 1));
  const nodes = withConstants(graph.nodes, known, shapes);
  const stacked = new Set<Value>(graph.inputs);
  for (const node of nodes) {
    // How large a value of one image is does not depend on the image.
    if (node.op === 'Shape' || node.op === 'Size') continue;
    if (node.inputs.some((input) => input && stacked.has(input)))
      for (const output of node.outputs) if (output) stacked.add(output);
  }
  const [image] = graph.inputs;
  if (!image) return false;
  const stack = new Stack(shapes, stacked, image);
  for (const node of nodes) {
    if (node.inputs.some(stack.isStacked) && node.op !== 'Shape' && node.op !== 'Size') stackNode(node, stack);
    else stack.keep(node);
  }
  graph.nodes = [...stack.nodes];
  graph.outputs = graph.outputs.map((output) => inRows(graph, output, stack, shapes.get(output)));
  for (const [value, shape] of before) {
    const isHidden = value.producer && !infersShapeOf(value.producer);
    if (!value.constant && (!value.producer || (isHidden && stacked.has(value)))) value.shape = shape;
  }
  inferGraph(graph);
  return [...shapes].every(([value, shape]) => isStackOf(value, shape, stacked.has(value)));
}

/** Infers the graph for one image. Undefined where that fails: then the file is damaged, or made for more. */
function bound(graph: Graph): ReadonlyMap<Value, readonly Dim[]> | undefined {
  for (const value of valuesOf(graph)) if (value.shape && !value.constant) value.shape = bindShape(value.shape, 1);
  try {
    return knownDims(graph);
  } catch (thrown) {
    if (thrown instanceof UserError) return undefined;
    throw thrown;
  }
}

/** The nodes, with constants in place of the whole numbers that are known. */
function withConstants(
  nodes: readonly Node[],
  known: ReadonlyMap<Value, readonly Dim[]>,
  shapes: Map<Value, readonly number[]>,
): Node[] {
  const constants = new Map<Value, Value>();
  for (const [value, numbers] of known) {
    const dims = shapes.get(value);
    const constant = dims && constantOf(value, dims, numbers);
    if (!constant) continue;
    constants.set(value, constant);
    shapes.set(constant, dims);
  }
  return nodes.flatMap((node) => {
    if (node.outputs.every((output) => output && constants.has(output))) return [];
    const inputs = node.inputs.map((input) => input && (constants.get(input) ?? input));
    return [inputs.some((input, index) => input !== node.inputs[index]) ? node.with({ inputs }) : node];
  });
}

function constantOf({ name, dtype }: Value, dims: readonly number[], numbers: readonly Dim[]): Value | undefined {
  const count = dims.reduce((product, dim) => product * dim, 1);
  if (
    count !== numbers.length ||
    count > LONGEST_VECTOR ||
    !numbers.every((n) => isNumber(n) && Number.isSafeInteger(n))
  )
    return undefined;
  const constant = new Value(name, dtype, dims);
  constant.constant = tensorOf(dtype, dims, numbers.filter(isNumber));
  return constant.constant && constant;
}

function tensorOf(dtype: Value['dtype'], dims: readonly number[], numbers: readonly number[]): Tensor | undefined {
  switch (dtype) {
    case 'int64':
      return tensor(dtype, dims, BigInt64Array.from(numbers, BigInt));
    case 'int32':
      return tensor(dtype, dims, Int32Array.from(numbers));
    case 'bool':
      return tensor(dtype, dims, Uint8Array.from(numbers));
    default:
      return undefined;
  }
}

/** A result of one image that is no row, [classes], as rows. */
function inRows(graph: Graph, output: Value, stack: Stack, shape: readonly number[] | undefined): Value {
  const node = output.producer;
  if (shape?.length !== 1 || !node || !stack.isStacked(output)) return output;
  const before = stack.nodes.length;
  const rows = stack.apart(node, output);
  graph.nodes.push(...stack.nodes.slice(before));
  return rows;
}

/** Whether a value was found to have the shape that it has for one image, stacked. */
function isStackOf({ shape, isAssumed, producer }: Value, one: readonly number[], isStacked: boolean): boolean {
  if (!shape || !producer || isAssumed || !isStacked || !infersShapeOf(producer)) return true;
  const [first = 1, ...rest] = one;
  const [images, ...others] = shape;
  return !isNumber(images) && images?.batch === first && showShape(others) === showShape(rest);
}

/** Every value of a graph that is no constant. */
function valuesOf({ inputs, nodes }: Graph): Value[] {
  return [...inputs, ...nodes.flatMap(({ outputs }) => outputs)].filter((value) => value !== undefined);
}
