import { blockedConv, fromBlocked, plainWeights, toBlocked } from '../../graph/blocked.js';
import type { ConvGeometry } from '../../graph/convGeometry.js';
import { BLOCKED } from '../../graph/domains.js';
import { concreteShape, type Value } from '../../graph/graph.js';
import { elementCount } from '../../onnx/tensor.js';
import { type Convolution, convolutionOf, largeGradient } from '../convolution.js';
import type { GradientRule, RuleContext } from '../rule.js';

/**
 * y = x ∗ W + b, depthwise and blocked  ⇒  dx = dy ∗ W turned round, dy with zeros between where there are strides. dW is a convolution too: a blocked
 * dy [N·C / B, h, w, B] lies in memory as blocked weights of N·C channels do, and nothing has to be moved.
 */
export const blockedConvRule: GradientRule = {
  op: 'Conv',
  domain: BLOCKED,
  gradients: (context) => {
    const { node, input, output } = context;
    const convolution = convolutionOf(node, input(0), output());
    return [
      () => inputGradient(context, convolution),
      () => weightGradient(context, convolution),
      () => biasGradient(context, convolution),
    ];
  },
};

/** A convolution's geometry of depthwise blocks. */
function geometryOf(axes: Convolution['axes'], group: number): ConvGeometry {
  return {
    group,
    kernel: axes.map(({ kernel }) => kernel),
    strides: axes.map(({ stride }) => stride),
    dilations: axes.map(({ dilation }) => dilation),
    pads: [...axes.map(({ begin }) => begin), ...axes.map(({ end }) => end)],
  };
}

function inputGradient({ g, input, dy }: RuleContext, convolution: Convolution) {
  const { axes, channels } = convolution;
  const geometry = geometryOf(axes, channels);
  const { kernel } = geometry;
  // With full windows each element gets all that it takes part in.
  const begins = axes.map(({ dilation, kernel: side, begin }) => dilation * (side - 1) - begin);
  const ends = axes.map(({ largeSize, smallSize, stride, begin }) => largeSize - smallSize * stride + begin);
  if ([...begins, ...ends].some((count) => count < 0)) {
    const weight = plainWeights(g, input(1), channels, kernel);
    return toBlocked(g, largeGradient(g, fromBlocked(g, dy, channels), weight, convolution));
  }
  const taps = elementCount(kernel);
  const size = g.blockSize ?? 1;
  const rows = g.reshape(input(1), [channels / size, taps, size]);
  const turned = taps === 1 ? rows : g.slice(rows, [-1], [-taps - 1], [1], [-1]);
  const weights = g.reshape(turned, [channels, 1, ...kernel]);
  return blockedConv(g, [spaced(g, dy, convolution), weights], {
    ...geometry,
    strides: axes.map(() => 1),
    pads: [...begins, ...ends],
  });
}

/** A blocked dy with zeros where the strides went past: each element is followed by as many as a stride leaves out. */
function spaced(g: RuleContext['g'], dy: Value, { axes, channels, images }: Convolution): Value {
  if (axes.every(({ stride }) => stride === 1)) return dy;
  const size = g.blockSize ?? 1;
  const apart = axes.flatMap(({ smallSize }) => [smallSize, 1]);
  const gaps = axes.flatMap(({ stride }) => [0, stride - 1]);
  const padded = g.pad(g.reshape(dy, [(images * channels) / size, ...apart, size]), [
    ...[0, ...gaps, 0].map(() => 0),
    ...[0, ...gaps, 0],
  ]);
  return g.reshape(padded, [images, channels, ...axes.map(({ smallSize, stride }) => smallSize * stride)]);
}

function weightGradient({ g, input, dy }: RuleContext, { axes, channels, images }: Convolution) {
  const planes = images * channels;
  const size = g.blockSize ?? 1;
  const large = g.reshape(input(0), [1, planes, ...axes.map(({ largeSize }) => largeSize)]);
  const small = axes.map(({ smallSize }) => smallSize);
  const kernels = g.reshape(dy, [planes, 1, ...small]);
  // A step of the kernel is a dilation of dy, and the other way round.
  const correlated = blockedConv(g, [large, kernels], {
    ...geometryOf(axes, planes),
    kernel: small,
    strides: axes.map(({ dilation }) => dilation),
    dilations: axes.map(({ stride }) => stride),
  });
  // What no stride reached gives further, meaningless taps.
  const found = concreteShape(correlated).slice(2);
  const wanted = axes.map(({ kernel }) => kernel);
  const byPlace = g.reshape(correlated, [planes / size, ...found, size]);
  const taps = wanted.every((side, axis) => side === found[axis]) ? byPlace : g.slice(byPlace, [0, 0], wanted, [1, 2]);
  const perImage = g.reshape(taps, [images, channels * elementCount(wanted)]);
  return g.reshape(g.reduceSum(perImage, [0], false), [channels, 1, ...wanted]);
}

/** Through the mean of each plane, which the layout has an operator for: a plain sum over its middle is seven times slower. */
function biasGradient({ g, dy }: RuleContext, { axes, channels, images }: Convolution) {
  const places = elementCount(axes.map(({ smallSize }) => smallSize));
  const means = g.reshape(g.op('GlobalAveragePool', [dy], {}, { domain: BLOCKED }), [images, channels]);
  return g.mul(g.reduceSum(means, [0], false), g.scalar(places));
}
