import type { Builder } from '../graph/builder.js';
import { concreteShape, type Value } from '../graph/graph.js';
import { elementCount } from '../onnx/tensor.js';
import type { Convolution, SpatialAxis } from './convolution.js';
import { cropped, padded } from './padding.js';
import { reversed } from './reversed.js';

/** How an axis of the large side falls into as many phases as the stride has steps. */
interface Phases {
  readonly stride: number;
  /** Zeros before and after the kernel, with which it has `taps` for each phase. */
  readonly front: number;
  readonly rest: number;
  readonly taps: number;
  /** Places of a phase on the large side. */
  readonly places: number;
  /** Zeros before and after the small side; what is negative is cut off. */
  readonly before: number;
  readonly after: number;
}

/**
 * What flows from the small side of a convolution to its large side, where there are strides, without a ConvTranspose: places that are a
 * stride apart get theirs from the same taps of the kernel, so each phase is a channel of one convolution of the small side, and then they
 * are interleaved. With w′ the kernel behind as many zeros as make the padding a multiple of the stride, and
 * `shift` that multiple,
 *
 *     dLarge[q · stride + phase] = Σₘ w′[phase + m · stride] · dSmall[q + shift − m].
 *
 * @param kernel the weights, transposed in each group: [C, K / groups, …].
 */
export function byPhases(g: Builder, dSmall: Value, kernel: Value, convolution: Convolution): Value {
  const { images, channels, groups, axes } = convolution;
  const phases = axes.map(phasesOf);
  const [begins, ends] = [phases.map(({ before }) => before), phases.map(({ after }) => after)];
  // Where a Conv's pads differ before and after, CUDA's provider computes more of the large result, and cuts it off.
  const isEven = begins.every((count, axis) => count >= 0 && count === ends[axis]);
  const values = g.conv(isEven ? dSmall : padded(g, dSmall, begins, ends), kernelOfPhases(g, kernel, convolution), {
    ...(isEven ? { pads: [...begins, ...ends] } : {}),
    group: groups,
  });
  const strides = phases.map(({ stride }) => stride);
  const places = phases.map((axis) => axis.places);
  const apart = g.reshape(values, [images, channels, ...strides, ...places]);
  const order = axes.flatMap((_, axis) => [2 + axes.length + axis, 2 + axis]);
  const sizes = phases.map((axis) => axis.places * axis.stride);
  const interleaved = g.reshape(g.transpose(apart, [0, 1, ...order]), [images, channels, ...sizes]);
  return cropped(
    g,
    interleaved,
    axes.map(({ largeSize }) => largeSize),
  );
}

function phasesOf({ largeSize, smallSize, kernel, stride, dilation, begin }: SpatialAxis): Phases {
  const front = (stride - (begin % stride)) % stride;
  const taps = Math.ceil((front + kernel * dilation) / stride);
  const shift = (begin + front) / stride;
  const places = Math.ceil(largeSize / stride);
  return {
    stride,
    front,
    rest: taps * stride - front - kernel * dilation,
    taps,
    places,
    before: taps - 1 - shift,
    after: places + shift - smallSize,
  };
}

/** The kernel [C, K, …] as one of each channel's phases, turned round: [C · phases, K, taps of a phase, …]. */
function kernelOfPhases(g: Builder, kernel: Value, { axes }: Convolution): Value {
  const phases = axes.map(phasesOf);
  const [channels = 0, others = 0] = concreteShape(kernel);
  const [fronts, rests] = [phases.map(({ front }) => front), phases.map(({ rest }) => rest)];
  const row = padded(g, withGaps(g, kernel, axes), fronts, rests);
  const apart = g.reshape(row, [channels, others, ...phases.flatMap(({ taps, stride }) => [taps, stride])]);
  const ofTaps = axes.map((_, axis) => 2 + 2 * axis);
  const ofPhases = axes.map((_, axis) => 3 + 2 * axis);
  const count = elementCount(phases.map(({ stride }) => stride));
  const byPhase = g.reshape(g.transpose(apart, [0, ...ofPhases, 1, ...ofTaps]), [
    channels * count,
    others,
    ...phases.map(({ taps }) => taps),
  ]);
  return reversed(
    g,
    byPhase,
    axes.map((_, axis) => axis + 2),
  );
}

/** A kernel with the zeros that its dilations stand for, after each tap. */
function withGaps(g: Builder, kernel: Value, axes: readonly SpatialAxis[]): Value {
  if (axes.every(({ dilation }) => dilation === 1)) return kernel;
  const [channels = 0, others = 0] = concreteShape(kernel);
  const apart = g.reshape(kernel, [channels, others, ...axes.flatMap((axis) => [axis.kernel, 1])]);
  const gaps = axes.flatMap(({ dilation }) => [0, dilation - 1]);
  const spread = g.pad(apart, [0, 0, ...gaps.map(() => 0), 0, 0, ...gaps]);
  return g.reshape(spread, [channels, others, ...axes.map((axis) => axis.kernel * axis.dilation)]);
}
