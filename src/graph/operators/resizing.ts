import { UserError } from '../../errors.js';
import { toNumbers } from '../../onnx/tensor.js';
import { type Dim, describe, type Node, type Shape, text } from '../graph.js';
import type { Operator } from './operator.js';

export const resize: Operator = {
  op: 'Resize',
  shape: ({ node, shape, numbers }) => {
    const scales = node.inputs[2]?.constant;
    const sizes = node.inputs[3] && numbers(3);
    return resizedShape(node, shape(0), scales && scales.data.length > 0 ? toNumbers(scales) : undefined, sizes);
  },
  upgrade: (node, from) => {
    if (from < 11) fromAsymmetric(node);
    // Before operator set 13, scales were given also where sizes were, and then empty.
    node.inputs = node.inputs.map((input, index) => (index > 0 && input?.shape?.[0] === 0 ? undefined : input));
  },
};

/**
 * Before operator set 11, Resize took its scales as its second input, and counted pixels from the first one's edge.
 * @throws UserError `unsupported-operator` where scales that decide how to round are computed.
 */
function fromAsymmetric(node: Node): void {
  const scales = node.inputs[1];
  node.inputs = [node.inputs[0], undefined, scales];
  node.setAttribute('coordinate_transformation_mode', text('asymmetric'));
  if (node.string('mode', 'nearest') !== 'nearest') return;
  if (!scales?.constant) {
    throw new UserError(
      'unsupported-operator',
      `${describe(node)} computes its scales, which before operator set 11 decide how it rounds; export the model with a later one`,
    );
  }
  // ONNX Runtime's reading of "nearest" in those sets: an image that becomes smaller rounds up.
  const shrinks = toNumbers(scales.constant).some((scale) => scale < 1);
  node.setAttribute('nearest_mode', text(shrinks ? 'ceil' : 'floor'));
}

/**
 * The shape that a Resize gives. `scales` and `sizes` count for the axes of the attribute `axes`, or for all; the batch may
 * only be kept.
 */
function resizedShape(
  node: Node,
  from: Shape,
  scales: readonly number[] | undefined,
  sizes: readonly Dim[] | undefined,
): Shape | undefined {
  const axes = (node.ints('axes') ?? from.map((_, axis) => axis)).map((axis) => (axis < 0 ? axis + from.length : axis));
  const result = [...from];
  if (sizes) {
    const factor = keptRatio(
      node,
      axes.map((axis) => from[axis] ?? 0),
      sizes,
    );
    axes.forEach((axis, place) => {
      const [dim, size] = [from[axis], sizes[place]];
      if (dim === undefined || size === undefined) return;
      result[axis] = factor === undefined || typeof dim !== 'number' ? size : Math.round(dim * factor);
    });
    return result;
  }
  if (!scales) return undefined;
  axes.forEach((axis, place) => {
    const [dim, scale = 1] = [from[axis], scales[place]];
    if (scale === 1 || dim === undefined) return;
    if (typeof dim !== 'number') throw new Error(`${describe(node)} works along the batch, which ort-tl cannot follow`);
    // In float32, as ONNX Runtime counts.
    result[axis] = Math.floor(Math.fround(dim * Math.fround(scale)));
  });
  return result;
}

/** The one scale of a `keep_aspect_ratio_policy`; undefined where every axis is stretched to its own size. */
function keptRatio(node: Node, dims: readonly Dim[], sizes: readonly Dim[]): number | undefined {
  const policy = node.string('keep_aspect_ratio_policy', 'stretch');
  if (policy === 'stretch') return undefined;
  const ratios = dims.flatMap((dim, place) => {
    const size = sizes[place];
    return typeof dim === 'number' && typeof size === 'number' ? [size / dim] : [];
  });
  return policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios);
}
