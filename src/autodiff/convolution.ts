import type { Builder } from '../graph/builder.js';
import { concreteShape, type Node, type Value } from '../graph/graph.js';
import { convGeometry } from '../graph/shapes.js';
import { spread } from './spread.js';

/**
 * A convolution of `large` [N, C, …] to `small` [N, K, …] with weights [K, C / groups, …], of any number of spatial axes. A
 * transposed convolution is the same one, read backwards: its input is the small side.
 */
export interface Convolution {
  readonly images: number;
  readonly channels: number;
  readonly kernels: number;
  readonly groups: number;
  readonly axes: readonly SpatialAxis[];
}

interface SpatialAxis {
  readonly largeSize: number;
  readonly smallSize: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Zeros before and after the large side. */
  readonly begin: number;
  readonly end: number;
}

export function convolutionOf(node: Node, large: Value, small: Value): Convolution {
  const { kernel, strides, dilations, pads, group } = convGeometry(node);
  const [images = 0, channels = 0, ...largeSizes] = concreteShape(large);
  const [, kernels = 0, ...smallSizes] = concreteShape(small);
  const axes = kernel.map((length, axis) => ({
    largeSize: largeSizes[axis] ?? 0,
    smallSize: smallSizes[axis] ?? 0,
    kernel: length,
    stride: strides[axis] ?? 1,
    dilation: dilations[axis] ?? 1,
    begin: pads[axis] ?? 0,
    end: pads[axis + kernel.length] ?? 0,
  }));
  return { images, channels, kernels, groups: group, axes };
}

/** The small side, from the large one. */
export function convolve(g: Builder, large: Value, weight: Value, { axes, groups }: Convolution): Value {
  const convolved = g.conv(large, weight, {
    strides: axes.map(({ stride }) => stride),
    dilations: axes.map(({ dilation }) => dilation),
    pads: [...axes.map(({ begin }) => begin), ...axes.map(({ end }) => end)],
    group: groups,
  });
  return cropped(
    g,
    convolved,
    axes.map(({ smallSize }) => smallSize),
  );
}

/**
 * What flows from the small side's gradient `dSmall` to the large side: for 1×1 kernels a convolution with the weights
 * transposed in each group; for depthwise ones a convolution with the flipped kernel; for others a transposed convolution.
 */
export function largeGradient(g: Builder, dSmall: Value, weight: Value, convolution: Convolution): Value {
  const { axes, groups, channels, kernels } = convolution;
  if (isPointwise(convolution)) {
    const [inGroup, outGroup] = [channels / groups, kernels / groups];
    const transposed = g.transpose(g.reshape(weight, [groups, outGroup, inGroup]), [0, 2, 1]);
    return g.conv(dSmall, g.reshape(transposed, [channels, outGroup, ...axes.map(() => 1)]), { group: groups });
  }
  if (groups > 1 && groups === channels && groups === kernels) return fullyConvolved(g, dSmall, weight, convolution);
  return g.convTranspose(dSmall, weight, {
    strides: axes.map(({ stride }) => stride),
    dilations: axes.map(({ dilation }) => dilation),
    pads: [...axes.map(({ begin }) => begin), ...axes.map(({ end }) => end)],
    outputPadding: axes.map((axis) => axis.largeSize + axis.begin + axis.end - reachOf(axis)),
    group: groups,
  });
}

/** A depthwise convolution of `dSmall`, spread out by the strides, with the flipped kernel. */
function fullyConvolved(g: Builder, dSmall: Value, weight: Value, { axes, groups }: Convolution): Value {
  const spatial = axes.map((_, axis) => axis + 2);
  const dilated = spread(g, dSmall, new Map(axes.map(({ stride }, axis) => [axis + 2, stride])));
  const before = axes.map(({ dilation, kernel, begin }) => dilation * (kernel - 1) - begin);
  const after = axes.map(({ largeSize, smallSize, stride, begin }) => largeSize - smallSize * stride + begin);
  const flipped = g.slice(
    weight,
    spatial.map(() => -1),
    axes.map(({ kernel }) => -kernel - 1),
    spatial,
    spatial.map(() => -1),
  );
  return g.conv(padded(g, dilated, before, after), flipped, {
    dilations: axes.map(({ dilation }) => dilation),
    group: groups,
  });
}

/**
 * dW[k, c, tap] = Σ large, shifted to the tap, · dSmall. Where each group has one input channel, this is itself a convolution,
 * with N·C groups whose kernel is dSmall; otherwise one matrix product for each group over all taps.
 */
export function weightGradient(g: Builder, large: Value, dSmall: Value, convolution: Convolution): Value {
  const { groups, channels } = convolution;
  return groups > 1 && groups === channels
    ? correlation(g, large, dSmall, convolution)
    : tapProducts(g, large, dSmall, convolution);
}

function correlation(g: Builder, large: Value, dSmall: Value, convolution: Convolution): Value {
  const { images, channels, kernels, axes } = convolution;
  const kernel = axes.map((axis) => axis.kernel);
  const correlated = g.conv(
    g.reshape(large, [1, images * channels, ...axes.map(({ largeSize }) => largeSize)]),
    g.reshape(dSmall, [images * kernels, 1, ...axes.map(({ smallSize }) => smallSize)]),
    {
      strides: axes.map(({ dilation }) => dilation),
      dilations: axes.map(({ stride }) => stride),
      pads: [...axes.map(({ begin }) => begin), ...axes.map(({ end }) => end)],
      group: images * channels,
    },
  );
  // What no stride reached gives further, meaningless taps.
  const taps = g.reshape(cropped(g, correlated, kernel), [images, kernels, ...kernel]);
  return g.reshape(g.reduceSum(taps, [0]), [kernels, 1, ...kernel]);
}

function tapProducts(g: Builder, large: Value, dSmall: Value, convolution: Convolution): Value {
  const { images, channels, kernels, groups, axes } = convolution;
  const [inGroup, outGroup] = [channels / groups, kernels / groups];
  const area = axes.reduce((product, { smallSize }) => product * smallSize, images);
  // [C, N, …] puts what a matrix product sums over last.
  const channelsFirst = [1, 0, ...axes.map((_, axis) => axis + 2)];
  const rows = g.transpose(
    padded(
      g,
      large,
      axes.map(({ begin }) => begin),
      axes.map(({ end }) => end),
    ),
    channelsFirst,
  );
  const taps = tapsOf(axes).map((tap) => g.reshape(shifted(g, rows, tap, axes), [groups, inGroup, area]));
  const [first] = taps;
  if (!first) throw new Error('a convolution has no taps');
  const columns = taps.length === 1 ? first : g.concat(taps, 1);
  const dRows = g.reshape(g.transpose(dSmall, channelsFirst), [groups, outGroup, area]);
  const product = multiplied(g, dRows, columns);
  const byTap = g.reshape(product, [groups, outGroup, taps.length, inGroup]);
  return g.reshape(taps.length === 1 ? byTap : g.transpose(byTap, [0, 1, 3, 2]), [
    kernels,
    inGroup,
    ...axes.map(({ kernel }) => kernel),
  ]);
}

/** a·bᵀ for each group; one group is a Gemm, which needs no transposed copy. */
function multiplied(g: Builder, a: Value, b: Value): Value {
  const [aShape, bShape] = [concreteShape(a), concreteShape(b)];
  return aShape[0] === 1
    ? g.gemm(g.reshape(a, aShape.slice(1)), g.reshape(b, bShape.slice(1)), { transB: true })
    : g.matmul(a, g.transpose(b, [0, 2, 1]));
}

/** Every place in the kernel, the last axis fastest. */
function tapsOf(axes: readonly SpatialAxis[]): number[][] {
  return axes.reduce<number[][]>(
    (taps, { kernel }) => taps.flatMap((tap) => Array.from({ length: kernel }, (_, place) => [...tap, place])),
    [[]],
  );
}

/** What one tap of the kernel sees: the padded large side from the tap on, every stride-th element. */
function shifted(g: Builder, rows: Value, tap: readonly number[], axes: readonly SpatialAxis[]): Value {
  const starts = axes.map(({ dilation }, axis) => (tap[axis] ?? 0) * dilation);
  const stops = axes.map(({ smallSize, stride }, axis) => (starts[axis] ?? 0) + (smallSize - 1) * stride + 1);
  const sizes = concreteShape(rows).slice(2);
  if (axes.every(({ stride }, axis) => stride === 1 && starts[axis] === 0 && stops[axis] === sizes[axis])) return rows;
  return g.slice(
    rows,
    starts,
    stops,
    axes.map((_, axis) => axis + 2),
    axes.map(({ stride }) => stride),
  );
}

function isPointwise({ axes }: Convolution): boolean {
  return axes.every(({ kernel, stride, begin, end }) => kernel === 1 && stride === 1 && begin === 0 && end === 0);
}

/** How much of the padded large side the windows cover. */
function reachOf({ smallSize, stride, dilation, kernel }: SpatialAxis): number {
  return (smallSize - 1) * stride + dilation * (kernel - 1) + 1;
}

/** The first `sizes` elements of the spatial axes. */
function cropped(g: Builder, x: Value, sizes: readonly number[]): Value {
  const have = concreteShape(x).slice(2);
  if (have.every((size, axis) => size === sizes[axis])) return x;
  return g.slice(
    x,
    sizes.map(() => 0),
    sizes,
    sizes.map((_, axis) => axis + 2),
  );
}

/** Pads the spatial axes with zeros; a negative number cuts off. */
function padded(g: Builder, x: Value, before: readonly number[], after: readonly number[]): Value {
  return [...before, ...after].every((count) => count === 0) ? x : g.pad(x, [0, 0, ...before, 0, 0, ...after]);
}

/** The gradient of a bias: `dy` summed over all axes but the channels. */
export function channelSum(g: Builder, dy: Value): Value {
  const axes = concreteShape(dy).flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  return g.reduceSum(dy, axes, false);
}
