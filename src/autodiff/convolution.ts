import type { Builder } from '../graph/builder.js';
import { concreteShape, type Node, type Value } from '../graph/graph.js';
import { convGeometry } from '../graph/shapes.js';

/*
 * The gradients of a convolution y = x ∗ W, in three forms by its kind:
 * - 1×1: matrix products;
 * - depthwise: dX and dW are depthwise convolutions themselves, dW with N·C groups whose kernel is dy;
 * - any other: dX is the transposed convolution, dW one matrix product a group over the shifted inputs.
 */

/** (height, width). */
export type Pair = readonly [number, number];

/** Of a 2-D convolution. */
export interface Geometry {
  /** N, C, K: images, input channels, output channels. */
  readonly images: number;
  readonly channels: number;
  readonly kernels: number;
  readonly group: number;
  readonly size: Pair;
  readonly outSize: Pair;
  readonly kernel: Pair;
  readonly strides: Pair;
  readonly dilations: Pair;
  readonly begins: Pair;
  readonly ends: Pair;
  readonly kind: 'pointwise' | 'depthwise' | 'dense';
}

/** What `compute` gives for height and width. */
export function each<T>(compute: (axis: 0 | 1) => T): readonly [T, T] {
  return [compute(0), compute(1)];
}

/**
 * The geometry of the convolution `node` from `x` [N, C, H, W] to `y` [N, K, H′, W′]; in one dimension, of rows of height 1.
 * Undefined in three dimensions or more.
 */
export function geometryOf(node: Node, x: Value, y: Value): Geometry | undefined {
  const { kernel, strides, dilations, pads, group } = convGeometry(node);
  const [images = 0, channels = 0, ...size] = concreteShape(x);
  const [, kernels = 0, ...outSize] = concreteShape(y);
  if (kernel.length > 2) return undefined;
  const pair = (numbers: readonly number[], lone: number): Pair =>
    numbers.length === 1 ? [lone, numbers[0] ?? lone] : [numbers[0] ?? lone, numbers[1] ?? lone];
  const isUnit =
    [...kernel, ...strides].every((n) => n === 1) && pads.every((n) => n === 0) && size.join() === outSize.join();
  const isDepthwise = group === channels && kernels === channels && group > 1;
  return {
    images,
    channels,
    kernels,
    group,
    size: pair(size, 1),
    outSize: pair(outSize, 1),
    kernel: pair(kernel, 1),
    strides: pair(strides, 1),
    dilations: pair(dilations, 1),
    begins: pair(pads.slice(0, kernel.length), 0),
    ends: pair(pads.slice(kernel.length), 0),
    kind: isDepthwise ? 'depthwise' : isUnit ? 'pointwise' : 'dense',
  };
}

/** A value of one spatial dimension as one of two, of height 1. */
export function asPlane(g: Builder, value: Value): Value {
  const [first = 0, second = 0, ...spatial] = concreteShape(value);
  return spatial.length === 1 ? g.reshape(value, [first, second, 1, ...spatial]) : value;
}

/** dX [N, C, H, W] from `dy` [N, K, H′, W′] and `weight` [K, C / groups, kh, kw]. */
export function inputGradient(g: Builder, geometry: Geometry, dy: Value, weight: Value): Value {
  const { kind, channels, kernels, group, kernel, strides, dilations, begins, ends, size, outSize } = geometry;
  switch (kind) {
    case 'pointwise': {
      const [inputs, outputs] = [channels / group, kernels / group];
      const transposed = g.transpose(g.reshape(weight, [group, outputs, inputs]), [0, 2, 1]);
      return g.conv(dy, g.reshape(transposed, [channels, outputs, 1, 1]), { group });
    }
    case 'depthwise': {
      // A full convolution of dy, spread out by the strides, with the flipped kernel.
      const spread = spreadOut(g, dy, strides);
      const spreadSize = each((axis) => (outSize[axis] - 1) * strides[axis] + 1);
      const reach = each((axis) => dilations[axis] * (kernel[axis] - 1));
      const before = each((axis) => reach[axis] - begins[axis]);
      const after = each((axis) => size[axis] - spreadSize[axis] + reach[axis] - before[axis]);
      const flipped = g.slice(weight, [-1, -1], [-kernel[0] - 1, -kernel[1] - 1], [2, 3], [-1, -1]);
      return g.conv(padPlane(g, spread, before, after), flipped, { dilations, group });
    }
    case 'dense': {
      const reached = each(
        (axis) =>
          (outSize[axis] - 1) * strides[axis] + dilations[axis] * (kernel[axis] - 1) + 1 - begins[axis] - ends[axis],
      );
      const outputPadding = each((axis) => size[axis] - reached[axis]);
      return g.convTranspose(dy, weight, { strides, dilations, pads: [...begins, ...ends], outputPadding, group });
    }
  }
}

/** dW [K, C / groups, kh, kw] from `x` [N, C, H, W] and `dy` [N, K, H′, W′]. */
export function weightGradient(g: Builder, geometry: Geometry, x: Value, dy: Value): Value {
  const { kind, images, channels, kernels, group, kernel, strides, dilations, begins, ends, size, outSize } = geometry;
  const area = outSize[0] * outSize[1];
  // [C, N, H, W] puts what a matrix product sums over last.
  const matrixOf = (value: Value, rows: number) => g.reshape(g.transpose(value, [1, 0, 2, 3]), [rows, images * area]);
  if (kind === 'depthwise') {
    const all = images * channels;
    const correlated = g.conv(g.reshape(x, [1, all, ...size]), g.reshape(dy, [all, 1, ...outSize]), {
      strides: dilations,
      dilations: strides,
      pads: [...begins, ...ends],
      group: all,
    });
    // Rows and columns that no stride reached give further, meaningless taps.
    const [, , height = 0, width = 0] = concreteShape(correlated);
    const taps =
      height === kernel[0] && width === kernel[1] ? correlated : g.slice(correlated, [0, 0], [...kernel], [2, 3]);
    return g.reshape(g.reduceSum(g.reshape(taps, [images, channels, ...kernel]), [0]), [channels, 1, ...kernel]);
  }
  if (kind === 'pointwise' && group === 1) {
    const product = g.gemm(matrixOf(dy, kernels), matrixOf(x, channels), { transB: true });
    return g.reshape(product, [kernels, channels, 1, 1]);
  }
  const shifts = shiftsOf(geometry);
  if (group === 1) {
    const padded = g.transpose(padPlane(g, x, begins, ends), [1, 0, 2, 3]);
    const taps = shifts.map(({ starts, stops }) =>
      g.reshape(g.slice(padded, starts, stops, [2, 3], [...strides]), [channels, images * area]),
    );
    const product = g.gemm(matrixOf(dy, kernels), g.concat(taps, 0), { transB: true });
    const byTap = g.reshape(product, [kernels, taps.length, channels]);
    return g.reshape(g.transpose(byTap, [0, 2, 1]), [kernels, channels, ...kernel]);
  }
  // A product for each group: [K / groups, N·H′·W′] by [N·H′·W′, taps · C / groups].
  const [inputs, outputs] = [channels / group, kernels / group];
  const padded = padPlane(g, x, begins, ends);
  const [height, width] = concreteShape(padded).slice(2);
  const grouped = g.transpose(g.reshape(padded, [images, group, inputs, height ?? 0, width ?? 0]), [1, 0, 3, 4, 2]);
  const taps = shifts.map(({ starts, stops }) =>
    g.reshape(g.slice(grouped, starts, stops, [2, 3], [...strides]), [group, images * area, inputs]),
  );
  const dyMatrices = g.reshape(matrixOf(dy, kernels), [group, outputs, images * area]);
  const product = g.matmul(dyMatrices, taps.length === 1 ? (taps[0] ?? x) : g.concat(taps, 2));
  const byTap = g.reshape(product, [kernels, taps.length, inputs]);
  return g.reshape(g.transpose(byTap, [0, 2, 1]), [kernels, inputs, ...kernel]);
}

/** For every tap of the kernel, row by row, the part of the padded input that it meets. */
function shiftsOf({ kernel, dilations, strides, outSize }: Geometry): { starts: number[]; stops: number[] }[] {
  return Array.from({ length: kernel[0] * kernel[1] }, (_, tap) => {
    const place = [Math.floor(tap / kernel[1]), tap % kernel[1]] as const;
    const starts = each((axis) => place[axis] * dilations[axis]);
    return { starts: [...starts], stops: [...each((axis) => starts[axis] + (outSize[axis] - 1) * strides[axis] + 1)] };
  });
}

/** `x` [N, C, H, W] with strides − 1 zeros between its rows and columns. */
export function spreadOut(g: Builder, x: Value, strides: Pair): Value {
  if (strides[0] === 1 && strides[1] === 1) return x;
  const [images = 0, channels = 0, height = 0, width = 0] = concreteShape(x);
  const cells = g.reshape(x, [images, channels, height, 1, width, 1]);
  const spread = g.pad(cells, [0, 0, 0, 0, 0, 0, 0, 0, 0, strides[0] - 1, 0, strides[1] - 1]);
  const rows = g.reshape(spread, [images, channels, height * strides[0], width * strides[1]]);
  return g.slice(rows, [0, 0], [(height - 1) * strides[0] + 1, (width - 1) * strides[1] + 1], [2, 3]);
}

/** Pads rows and columns with zeros; a negative number cuts them off. */
export function padPlane(g: Builder, x: Value, before: Pair, after: Pair): Value {
  return [...before, ...after].every((n) => n === 0) ? x : g.pad(x, [0, 0, ...before, 0, 0, ...after]);
}
