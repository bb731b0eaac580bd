import { UserError } from '../../errors.js';
import { concreteShape, describe, type Node } from '../../graph/graph.js';
import { toNumbers } from '../../onnx/tensor.js';
import { keptScale } from '../../graph/shapes.js';
import { type LinearMap, transposed } from '../linearMap.js';
import type { GradientRule } from '../rule.js';

/** y = x interpolated, one axis after another, each a linear map  ⇒  dx = dy through their transposes. */
export const resize: GradientRule = {
  op: 'Resize',
  gradients: ({ node, input, dy, g }) => [
    () => {
      const from = concreteShape(input(0));
      const to = concreteShape(dy);
      const sizes = node.inputs[3]?.constant;
      const kept = sizes && keptScale(node, from, toNumbers(sizes));
      return from.reduce((gradient, length, axis) => {
        const result = to[axis] ?? length;
        const scale = scaleOf(node, axis, from.length, kept ?? result / length);
        return result === length && scale === 1
          ? gradient
          : transposed(g, interpolation(node, length, result, scale), gradient, axis);
      }, dy);
    },
    undefined,
    undefined,
    undefined,
  ],
};

/** The factor along an axis: as stated, or what the sizes make it. */
function scaleOf(node: Node, axis: number, rank: number, bySizes: number): number {
  const axes = (node.ints('axes') ?? Array.from({ length: rank }, (_, index) => index)).map(
    (each) => (each + rank) % rank,
  );
  const place = axes.indexOf(axis);
  if (place < 0) return 1;
  const stated = node.inputs[3] ? undefined : node.inputs[2]?.constant;
  return (stated && toNumbers(stated)[place]) ?? bySizes;
}

/** What each place of the result reads (onnx/docs/Operators.md, Resize). */
function interpolation(node: Node, length: number, result: number, scale: number): LinearMap {
  const unsupported = (what: string) =>
    new UserError(
      'no-gradient-rule',
      `${describe(node)} resizes ${what}, which has no gradient rule; choose a policy that stops after it`,
    );
  if (node.int('antialias', 0) === 1 && scale < 1) throw unsupported('with antialiasing');
  const transformation = node.string('coordinate_transformation_mode', 'half_pixel');
  const mode = node.string('mode', 'nearest');
  const original = (place: number): number => {
    switch (transformation) {
      case 'half_pixel':
        return (place + 0.5) / scale - 0.5;
      case 'half_pixel_symmetric': {
        // The middle stays the middle, also where a scale was rounded down.
        const adjustment = result / (scale * length);
        return (length / 2) * (1 - adjustment) + (place + 0.5) / scale - 0.5;
      }
      case 'pytorch_half_pixel':
        return result > 1 ? (place + 0.5) / scale - 0.5 : 0;
      case 'align_corners':
        return result > 1 ? (place * (length - 1)) / (result - 1) : 0;
      case 'asymmetric':
        return place / scale;
      default:
        throw unsupported(`by "${transformation}"`);
    }
  };
  const clamp = (place: number) => Math.max(0, Math.min(length - 1, place));
  const rows = Array.from({ length: result }, (_, place) => {
    const x = original(place);
    const low = Math.floor(x);
    switch (mode) {
      case 'nearest':
        return [{ place: clamp(nearest(node, x)), weight: 1 }];
      case 'linear': {
        const inside = Math.max(0, Math.min(length - 1, x));
        const [floor, part] = [Math.floor(inside), inside - Math.floor(inside)];
        return [
          { place: floor, weight: 1 - part },
          { place: clamp(floor + 1), weight: part },
        ];
      }
      default: {
        const taps = [-1, 0, 1, 2].map((tap) => ({ place: low + tap, weight: cubic(node, x - (low + tap)) }));
        if (node.int('exclude_outside', 0) === 0)
          return taps.map(({ place: at, weight }) => ({ place: clamp(at), weight }));
        const inside = taps.filter(({ place: at }) => at >= 0 && at < length);
        const sum = inside.reduce((total, { weight }) => total + weight, 0);
        return inside.map(({ place: at, weight }) => ({ place: at, weight: weight / sum }));
      }
    }
  });
  return { length, rows };
}

function nearest(node: Node, x: number): number {
  switch (node.string('nearest_mode', 'round_prefer_floor')) {
    case 'floor':
      return Math.floor(x);
    case 'ceil':
      return Math.ceil(x);
    case 'round_prefer_ceil':
      return Math.floor(x + 0.5);
    default:
      return Math.ceil(x - 0.5);
  }
}

/** Keys' cubic convolution kernel (1981). */
function cubic(node: Node, distance: number): number {
  const a = node.float('cubic_coeff_a', -0.75);
  const t = Math.abs(distance);
  if (t <= 1) return (a + 2) * t ** 3 - (a + 3) * t ** 2 + 1;
  return t < 2 ? a * t ** 3 - 5 * a * t ** 2 + 8 * a * t - 4 * a : 0;
}
