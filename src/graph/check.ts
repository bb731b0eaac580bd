import { type Dim, describe, type Node, sameDim, type Shape, showShape } from './graph.js';
import { broadcastShapes, convGeometry } from './shapes.js';

/** More dimensions than any image model has; only a damaged file gets there. */
const HIGHEST_RANK = 16;
/** Elements of one value for one image: 8 GiB of float32. */
const MOST_ELEMENTS = 2 ** 31;

/** Inputs that an operator cannot do without, where there is more than one. */
const requiredInputs = new Map([
  ...'Add Sub Mul Div Pow Mod And Or Xor Equal Greater GreaterOrEqual Less LessOrEqual'.split(' ').map(binary),
  ...'Conv ConvTranspose Gemm MatMul PRelu Reshape Expand Gather Tile LayerNormalization'.split(' ').map(binary),
  ['Where', 3],
  ['Slice', 3],
  ['OneHot', 3],
  ['InstanceNormalization', 3],
  ['GroupNormalization', 3],
  ['BatchNormalization', 5],
]);

/** Operators whose inputs are all of one element type. */
const ofOneType = new Set('Add Sub Mul Div Max Min Mean Sum Conv ConvTranspose Gemm MatMul Concat PRelu'.split(' '));

function binary(op: string): readonly [string, number] {
  return [op, 2];
}

/**
 * Checks of a node from a model file what ONNX says of its operator and shape inference does not need, so that gradient
 * rules can rely on it: its inputs are there, its geometry is positive, its weights have the shapes that its data asks for.
 * @throws Error with the reason.
 */
export function checkNode(node: Node): void {
  node.output(0);
  if (ofOneType.has(node.op)) checkTypes(node);
  for (let index = 0; index < (requiredInputs.get(node.op) ?? 1); index++) node.input(index);
  switch (node.op) {
    case 'Conv':
    case 'ConvTranspose':
      checkWeight(node);
      checkGeometry(node);
      return;
    case 'AveragePool':
    case 'MaxPool':
      checkGeometry(node);
      return;
    case 'BatchNormalization':
      for (const index of [1, 2, 3, 4]) checkVector(node, index, node.input(0).shape?.[1]);
      return;
    case 'InstanceNormalization':
      for (const index of [1, 2]) checkVector(node, index, node.input(0).shape?.[1]);
      return;
    case 'Gemm':
      for (const index of [0, 1]) checkRank(node, index, 2);
      if (node.inputs[2]) checkStretches(node, 2, resultOfGemm(node));
      return;
    case 'PRelu':
      checkStretches(node, 1, node.input(0).shape);
      return;
    case 'Softmax':
    case 'LogSoftmax':
      checkAxis(node, node.int('axis', -1));
      return;
    default:
      return;
  }
}

/**
 * Checks what a node's outputs were found to be. @throws Error where a dimension is no count, or a value is larger than
 * any classifier's.
 */
export function checkOutputs(node: Node): void {
  for (const output of node.outputs) {
    if (output?.shape) checkShape(output.shape, `${describe(node)} would give`);
  }
}

/** @throws Error that begins with `what` for a shape that no value of a classifier has. */
export function checkShape(shape: Shape, what: string): void {
  const counts = shape.map((dim) => (typeof dim === 'number' ? dim : dim.batch));
  const isCount = counts.every((n, axis) => Number.isSafeInteger(n) && n >= (typeof shape[axis] === 'number' ? 0 : 1));
  if (!isCount || shape.length > HIGHEST_RANK || counts.reduce((a, b) => a * b, 1) > MOST_ELEMENTS) {
    const shown = shape.length > HIGHEST_RANK ? `${shape.length} dimensions` : `a value of shape ${showShape(shape)}`;
    throw new Error(`${what} ${shown}`);
  }
}

function checkTypes(node: Node): void {
  const types = new Set(node.inputs.flatMap((input) => (input?.dtype ? [input.dtype] : [])));
  if (types.size > 1)
    throw new Error(`${describe(node)} takes inputs of one type, but gets ${[...types].join(' and ')}`);
}

function checkGeometry(node: Node): void {
  const spatial = (node.input(0).shape?.length ?? 2) - 2;
  if (!node.input(0).shape) return;
  const { kernel, strides, dilations, pads, group } = convGeometry(node);
  const isFit = (list: readonly number[], length: number, least: number) =>
    list.length === length && list.every((n) => Number.isSafeInteger(n) && n >= least);
  const isSound =
    spatial > 0 &&
    isFit(kernel, spatial, 1) &&
    isFit(strides, spatial, 1) &&
    isFit(dilations, spatial, 1) &&
    isFit(pads, 2 * spatial, 0) &&
    group >= 1;
  if (!isSound) {
    throw new Error(
      `${describe(node)} has a kernel [${kernel.join(', ')}], strides [${strides.join(', ')}], dilations [${dilations.join(', ')}], pads [${pads.join(', ')}] and ${group} groups, which do not fit ${showShape(node.input(0).shape)}`,
    );
  }
}

/** The weight [K, C / groups, …] of a convolution, or [C, K / groups, …] of a transposed one, and its bias [K]. */
function checkWeight(node: Node): void {
  const weight = node.input(1).shape;
  const group = node.int('group', 1);
  const [first, second] = weight ?? [];
  if (!weight || typeof first !== 'number' || typeof second !== 'number') return;
  const stated = node.ints('kernel_shape');
  const isStated = !stated || (stated.length === weight.length - 2 && stated.every((n, at) => n === weight[at + 2]));
  if (weight.some((dim) => dim === 0) || first % group !== 0 || !isStated)
    throw new Error(
      `${describe(node)} cannot use a weight of shape ${showShape(weight)} in ${group} groups${stated ? `, with a kernel_shape of [${stated.join(', ')}]` : ''}`,
    );
  if (node.inputs[2]) checkVector(node, 2, node.op === 'Conv' ? first : second * group);
}

function checkVector(node: Node, index: number, length: Dim | undefined): void {
  const { name, shape } = node.input(index);
  const [only] = shape ?? [];
  if (!shape || length === undefined || (shape.length === 1 && only !== undefined && sameDim(only, length))) return;
  throw new Error(
    `${describe(node)} needs one number for each of its channels, but "${name}" has shape ${showShape(shape)}`,
  );
}

function checkRank(node: Node, index: number, rank: number): void {
  const { name, shape } = node.input(index);
  if (shape && shape.length !== rank)
    throw new Error(`${describe(node)} needs ${rank} dimensions, but "${name}" has shape ${showShape(shape)}`);
}

function checkStretches(node: Node, index: number, to: Shape | undefined): void {
  const { name, shape } = node.input(index);
  if (!shape || !to) return;
  const result = broadcastShapes([shape, to]);
  if (result?.length !== to.length || result.some((dim, axis) => !sameDim(dim, to[axis] ?? 0)))
    throw new Error(`${describe(node)} cannot stretch "${name}" of shape ${showShape(shape)} to ${showShape(to)}`);
}

function resultOfGemm(node: Node): Shape | undefined {
  const rows = node.input(0).shape?.[node.int('transA', 0) === 1 ? 1 : 0];
  const columns = node.input(1).shape?.[node.int('transB', 0) === 1 ? 0 : 1];
  return rows === undefined || columns === undefined ? undefined : [rows, columns];
}

function checkAxis(node: Node, axis: number): void {
  const rank = node.input(0).shape?.length;
  if (rank !== undefined && (axis < -rank || axis >= rank))
    throw new Error(`${describe(node)} works along axis ${axis} of ${showShape(node.input(0).shape)}`);
}
