import type { Builder } from '../graph/builder.js';
import { convGeometry } from '../graph/convGeometry.js';
import { concreteShape, type Node, type Value } from '../graph/graph.js';
import { elementCount } from '../onnx/tensor.js';
import { between, cropped, padded } from './padding.js';
import { byPhases } from './phases.js';
import { reversed } from './reversed.js';

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

export interface SpatialAxis {
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
  const { strides, dilations, pads } = listsOf(axes);
  const convolved = g.conv(large, weight, { strides, dilations, pads, group: groups });
  return cropped(
    g,
    convolved,
    axes.map(({ smallSize }) => smallSize),
  );
}

/**
 * What flows from the small side's gradient `dSmall` to the large side: a transposed convolution. Without strides a convolution
 * with the kernel turned round and the weights transposed in each group is the same, and several times as fast on ONNX
 * Runtime's CPU provider where the weights are few beside what they multiply; with strides, two to eight times slower.
 */
export function largeGradient(g: Builder, dSmall: Value, weight: Value, convolution: Convolution): Value {
  const { axes, groups } = convolution;
  const { strides, dilations, pads } = listsOf(axes);
  // With full windows each element of the large side gets all that it takes part in.
  const fullPads = pads.map((count, place) => {
    const axis = axes[place % axes.length];
    return (axis ? axis.dilation * (axis.kernel - 1) : 0) - count;
  });
  const isDense = strides.every((stride) => stride === 1) && fullPads.every((count) => count >= 0);
  const turnsEasily = isPointwise(axes) || elementCount(concreteShape(weight)) < elementCount(concreteShape(dSmall));
  if (isDense && turnsEasily) {
    const kernel = reversed(
      g,
      transposedInGroups(g, weight, convolution),
      axes.map((_, axis) => axis + 2),
    );
    return g.conv(dSmall, kernel, { dilations, pads: fullPads, group: groups });
  }
  return g.isForGpu && groups > 1
    ? byPhases(g, dSmall, transposedInGroups(g, weight, convolution), convolution)
    : transposed(g, dSmall, weight, convolution);
}

/**
 * The large side's gradient as a ConvTranspose. ONNX Runtime's CUDA provider leaves those whose pads before and after differ to the CPU:
 * for a GPU both are the smaller one, and the rest is cut off.
 */
function transposed(g: Builder, dSmall: Value, weight: Value, { axes, groups }: Convolution): Value {
  const even = axes.map((axis) => {
    const least = Math.min(axis.begin, axis.end);
    return g.isForGpu ? { ...axis, begin: least, end: least } : axis;
  });
  const starts = axes.map(({ begin }, axis) => begin - (even[axis]?.begin ?? 0));
  const stops = axes.map(({ largeSize }, axis) => (starts[axis] ?? 0) + largeSize);
  const outputPadding = even.map((axis, at) => Math.max(0, (stops[at] ?? 0) + axis.begin + axis.end - reachOf(axis)));
  const dLarge = g.convTranspose(dSmall, weight, { ...listsOf(even), outputPadding, group: groups });
  return between(g, dLarge, starts, stops);
}

/** Weights [K, C / groups, …] as [C, K / groups, …]. */
function transposedInGroups(g: Builder, weight: Value, { groups, channels, kernels, axes }: Convolution): Value {
  const [inGroup, outGroup] = [channels / groups, kernels / groups];
  const kernel = axes.map((axis) => axis.kernel);
  const taps = elementCount(kernel);
  if (inGroup === 1 && outGroup === 1) return weight;
  // It is turned as a matrix, where it is one: ONNX Runtime turns those many times as fast as what has further axes, be they of length 1.
  const turned =
    groups === 1 && taps === 1
      ? g.transpose(g.reshape(weight, [kernels, channels]), [1, 0])
      : g.transpose(g.reshape(weight, [groups, outGroup, inGroup, taps]), [0, 2, 1, 3]);
  return g.reshape(turned, [channels, outGroup, ...kernel]);
}

/**
 * dW[k, c, tap] = Σ dSmall · large, shifted to the tap. With several groups this is itself a convolution, whose kernel is dSmall
 * and whose images are a group's input channels; with one group, one matrix product over all taps.
 */
export function weightGradient(g: Builder, large: Value, dSmall: Value, convolution: Convolution): Value {
  return convolution.groups === 1 || isPointwise(convolution.axes)
    ? tapProducts(g, large, dSmall, convolution)
    : correlation(g, large, dSmall, convolution);
}

function correlation(g: Builder, large: Value, dSmall: Value, convolution: Convolution): Value {
  const { images, channels, groups, axes } = convolution;
  const inGroup = channels / groups;
  const size = axes.map(({ largeSize }) => largeSize);
  // [N, groups, C / groups, …] as [C / groups, groups · N, …]: the convolution sums over a group's channels, here the images.
  const byGroup = g.reshape(large, [images, groups, inGroup, elementCount(size)]);
  const channelsFirst = g.reshape(g.transpose(byGroup, [2, 1, 0, 3]), [inGroup, groups * images, ...size]);
  const { strides, dilations, pads } = listsOf(axes);
  // A step of the kernel is a dilation of dSmall, and the other way round.
  const correlated = g.conv(channelsFirst, swapped(g, dSmall), {
    strides: dilations,
    dilations: strides,
    pads,
    group: groups,
  });
  // What no stride reached gives further, meaningless taps.
  const taps = cropped(
    g,
    correlated,
    axes.map(({ kernel }) => kernel),
  );
  return swapped(g, taps);
}

function tapProducts(g: Builder, large: Value, dSmall: Value, convolution: Convolution): Value {
  const { images, channels, kernels, groups, axes } = convolution;
  const [inGroup, outGroup] = [channels / groups, kernels / groups];
  const places = elementCount(axes.map(({ smallSize }) => smallSize));
  if (sumsProducts(convolution, places)) {
    // ONNX Runtime takes the transposition into the product.
    const [x, dy] = [g.reshape(large, [images, channels, places]), g.reshape(dSmall, [images, kernels, places])];
    const products = g.matmul(dy, g.transpose(x, [0, 2, 1]));
    return g.reshape(g.reduceSum(products, [0], false), [kernels, channels, ...axes.map(() => 1)]);
  }
  const area = images * places;
  if (groups === 1 && areTiles(axes)) {
    const dRows = g.reshape(swapped(g, dSmall), [kernels, area]);
    const product = g.gemm(dRows, tiles(g, large, convolution), { transB: true });
    return g.reshape(product, [kernels, channels, ...axes.map(({ kernel }) => kernel)]);
  }
  // [C, N, …] puts what a matrix product sums over last.
  const [begins, ends] = [axes.map(({ begin }) => begin), axes.map(({ end }) => end)];
  const rows = swapped(g, padded(g, large, begins, ends));
  const taps = tapsOf(axes).map((tap) => g.reshape(shifted(g, rows, tap, axes), [groups, inGroup, area]));
  const [first] = taps;
  const columns = first && taps.length === 1 ? first : g.concat(taps, 1);
  const dRows = g.reshape(swapped(g, dSmall), [groups, outGroup, area]);
  const product =
    groups === 1
      ? g.gemm(g.reshape(dRows, [outGroup, area]), g.reshape(columns, [taps.length * inGroup, area]), { transB: true })
      : g.matmul(dRows, g.transpose(columns, [0, 2, 1]));
  const byTap = g.reshape(product, [kernels, taps.length, inGroup]);
  return g.reshape(taps.length === 1 ? byTap : g.transpose(byTap, [0, 2, 1]), [
    kernels,
    inGroup,
    ...axes.map(({ kernel }) => kernel),
  ]);
}

/** Whether the windows lie side by side and cover the large side, as the patches of a transformer do. */
function areTiles(axes: readonly SpatialAxis[]): boolean {
  return axes.every(
    ({ largeSize, smallSize, kernel, stride, dilation, begin, end }) =>
      kernel > 1 && stride === kernel && dilation === 1 && begin === 0 && end === 0 && largeSize === smallSize * kernel,
  );
}

/** All windows of the large side, which are {@link areTiles tiles}: [C · taps, N · places], moved once. */
function tiles(g: Builder, large: Value, { images, channels, axes }: Convolution): Value {
  const parted = g.reshape(large, [images, channels, ...axes.flatMap(({ smallSize, kernel }) => [smallSize, kernel])]);
  const places = axes.map((_, axis) => 2 + 2 * axis);
  const turned = g.transpose(parted, [1, ...places.map((place) => place + 1), 0, ...places]);
  const taps = elementCount(axes.map(({ kernel }) => kernel));
  return g.reshape(turned, [channels * taps, images * elementCount(axes.map(({ smallSize }) => smallSize))]);
}

/**
 * Whether a pointwise dW is the sum of each image's product, which moves nothing but makes N matrices [K, C], in place of one
 * product of all images, whose operands have to be transposed: where those are the larger, as in a network's first half.
 */
function sumsProducts({ groups, channels, kernels, axes }: Convolution, places: number): boolean {
  const isPlain = axes.every(
    ({ kernel, stride, begin, end }) => kernel === 1 && stride === 1 && begin === 0 && end === 0,
  );
  return groups === 1 && isPlain && 2 * kernels * channels <= (kernels + channels) * places;
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

function isPointwise(axes: readonly SpatialAxis[]): boolean {
  return axes.every(({ kernel }) => kernel === 1);
}

/** [A, B, …] as [B, A, …]. */
function swapped(g: Builder, x: Value): Value {
  return g.transpose(
    x,
    concreteShape(x).map((_, axis) => (axis < 2 ? 1 - axis : axis)),
  );
}

/** The attributes of a convolution. */
function listsOf(axes: readonly SpatialAxis[]) {
  return {
    strides: axes.map(({ stride }) => stride),
    dilations: axes.map(({ dilation }) => dilation),
    pads: [...axes.map(({ begin }) => begin), ...axes.map(({ end }) => end)],
  };
}

/** How much of the padded large side the windows cover. */
function reachOf({ smallSize, stride, dilation, kernel }: SpatialAxis): number {
  return (smallSize - 1) * stride + dilation * (kernel - 1) + 1;
}

/** The gradient of a bias: `dy` summed over all axes but the channels. */
export function channelSum(g: Builder, dy: Value): Value {
  const axes = concreteShape(dy).flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  return g.reduceSum(dy, axes, false);
}
