import { type Dim, describe, type Node, type Shape } from './graph.js';

/**
 * The shape that a Resize gives. `scales` and `sizes` count for the axes of the attribute `axes`, or for all; the batch may
 * only be kept.
 */
export function resizedShape(
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
