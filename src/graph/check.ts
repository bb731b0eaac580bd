import { describe, type Node, type Shape, showShape } from './graph.js';
import { operatorOf } from './operators.js';

/** More dimensions than any image model has; only a damaged file gets there. */
const HIGHEST_RANK = 16;
/** Elements of one value for one image: 8 GiB of float32. */
const MOST_ELEMENTS = 2 ** 31;

/**
 * Checks of a node from a model file what ONNX says of its operator and shape inference does not need, so that gradient
 * rules can rely on it: its inputs are there, its geometry is positive, its weights have the shapes that its data asks for.
 * @throws Error with the reason.
 */
export function checkNode(node: Node): void {
  const operator = operatorOf(node);
  node.output(0);
  if (operator?.isOfOneType) checkTypes(node);
  for (let index = 0; index < (operator?.required ?? 1); index++) node.input(index);
  operator?.check?.(node);
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

/** @throws Error that begins with `what` for a shape that no classifier's value has. */
function checkShape(shape: Shape, what: string): void {
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
