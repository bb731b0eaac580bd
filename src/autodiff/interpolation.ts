import { UserError } from '../errors.js';
import { describe, type Node } from '../graph/graph.js';
import { accumulate, type AxisMap } from './axisMap.js';

/** One axis of a Resize: `count` outputs from `length` inputs. */
export interface ResizedAxis {
  readonly axis: number;
  readonly length: number;
  readonly count: number;
  readonly scale: number;
  /** The region that `tf_crop_and_resize` reads, as parts of the length. */
  readonly start: number;
  readonly end: number;
}

/** How each output of a Resize takes its inputs along one axis (onnx/docs/Operators.md, Resize). */
export function interpolation(node: Node, resized: ResizedAxis): AxisMap {
  const { axis, length, count, scale } = resized;
  const last = length - 1;
  const transformation = node.string('coordinate_transformation_mode', 'half_pixel');
  const rows = Array.from({ length: count }, (_, output): ReadonlyMap<number, number> => {
    const place = coordinate(node, transformation, output, resized);
    // Outside of the region that is read stands a constant.
    if (transformation === 'tf_crop_and_resize' && (place < 0 || place > last)) return new Map();
    if (node.string('mode', 'nearest') === 'nearest') {
      const nearest = rounded(node.string('nearest_mode', 'round_prefer_floor'), place);
      return new Map([[Math.min(last, Math.max(0, nearest)), 1]]);
    }
    return filtered(node, place, length, scale);
  });
  return { axis, length, rows };
}

/** Where output `output` lies among the inputs; in float32, as ONNX Runtime counts. */
function coordinate(node: Node, transformation: string, output: number, resized: ResizedAxis): number {
  const { length, count, start, end } = resized;
  const scale = Math.fround(resized.scale);
  const halfPixel = Math.fround(Math.fround((output + 0.5) / scale) - 0.5);
  switch (transformation) {
    case 'half_pixel':
      return halfPixel;
    case 'pytorch_half_pixel':
      return count > 1 ? halfPixel : 0;
    case 'half_pixel_symmetric': {
      // The outputs that a fractional size leaves off are left off on both sides.
      const adjustment = count / (scale * length);
      return Math.fround((length / 2) * (1 - adjustment) + (output + 0.5) / scale - 0.5);
    }
    case 'asymmetric':
      return Math.fround(output / scale);
    case 'align_corners':
      return count > 1 ? Math.fround((output * (length - 1)) / (count - 1)) : 0;
    case 'tf_crop_and_resize':
      return count > 1
        ? Math.fround(start * (length - 1) + (output * (end - start) * (length - 1)) / (count - 1))
        : Math.fround(0.5 * (start + end) * (length - 1));
    default:
      throw new UserError(
        'no-gradient-rule',
        `${describe(node)} finds its pixels by "${transformation}", which has no gradient rule; choose a policy that stops after it`,
      );
  }
}

function rounded(mode: string, place: number): number {
  switch (mode) {
    case 'floor':
      return Math.floor(place);
    case 'ceil':
      return Math.ceil(place);
    case 'round_prefer_ceil':
      return Math.floor(place + 0.5);
    default:
      return Math.ceil(place - 0.5);
  }
}

/** Weights that fall off with the distance from `place`; a smaller image is smoothed first where `antialias` says so. */
function filtered(node: Node, place: number, length: number, scale: number): ReadonlyMap<number, number> {
  const isCubic = node.string('mode', 'nearest') === 'cubic';
  const sharpness = node.int('antialias', 0) === 1 ? Math.min(1, scale) : 1;
  const reach = (isCubic ? 2 : 1) / sharpness;
  const dropsOutside = node.int('exclude_outside', 0) === 1;
  const a = node.float('cubic_coeff_a', -0.75);
  const row = new Map<number, number>();
  let total = 0;
  for (let index = Math.ceil(place - reach); index <= Math.floor(place + reach); index++) {
    if (dropsOutside && (index < 0 || index >= length)) continue;
    const distance = Math.abs(index - place) * sharpness;
    const weight = isCubic ? cubic(distance, a) : Math.max(0, 1 - distance);
    if (weight === 0) continue;
    total += weight;
    accumulate(row, Math.min(length - 1, Math.max(0, index)), weight);
  }
  return new Map([...row].map(([index, weight]) => [index, weight / total]));
}

/** Keys, Cubic convolution interpolation (1981). */
function cubic(distance: number, a: number): number {
  const d = distance;
  if (d <= 1) return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
  return d < 2 ? a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a : 0;
}
