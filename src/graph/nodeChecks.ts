import { stretchesTo } from './broadcast.js';
import { convGeometry } from './convGeometry.js';
import { type Dim, describe, type Node, sameDim, type Shape, showShape } from './graph.js';

// What operators ask of their inputs. Each check throws an Error with the reason, and lets pass what is not known.

/** The kernel, strides, dilations, pads and groups of a convolution or pooling fit its input. */
export function checkGeometry(node: Node): void {
  const { shape } = node.input(0);
  if (!shape) return;
  const spatial = shape.length - 2;
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
      `${describe(node)} has a kernel [${kernel.join(', ')}], strides [${strides.join(', ')}], dilations [${dilations.join(', ')}], pads [${pads.join(', ')}] and ${group} groups, which do not fit ${showShape(shape)}`,
    );
  }
}

/** Input `index` is a vector of `length` numbers. */
export function checkVector(node: Node, index: number, length: Dim | undefined): void {
  const { name, shape } = node.input(index);
  const [only] = shape ?? [];
  if (!shape || length === undefined || (shape.length === 1 && only !== undefined && sameDim(only, length))) return;
  throw new Error(
    `${describe(node)} needs one number for each of its channels, but "${name}" has shape ${showShape(shape)}`,
  );
}

/** Input `index` has `rank` dimensions. */
export function checkRank(node: Node, index: number, rank: number): void {
  const { name, shape } = node.input(index);
  if (shape && shape.length !== rank)
    throw new Error(`${describe(node)} needs ${rank} dimensions, but "${name}" has shape ${showShape(shape)}`);
}

/** Input `index` can be stretched to the shape `to`. */
export function checkStretches(node: Node, index: number, to: Shape | undefined): void {
  const { name, shape } = node.input(index);
  if (shape && to && !stretchesTo(shape, to))
    throw new Error(`${describe(node)} cannot stretch "${name}" of shape ${showShape(shape)} to ${showShape(to)}`);
}

/** Input 0 has an axis `axis`. */
export function checkAxis(node: Node, axis: number): void {
  const { shape } = node.input(0);
  if (shape && (axis < -shape.length || axis >= shape.length))
    throw new Error(`${describe(node)} works along axis ${axis} of ${showShape(shape)}`);
}
