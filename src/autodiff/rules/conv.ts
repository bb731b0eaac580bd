import type { Builder } from '../../graph/builder.js';
import { concreteShape, describe, type Value } from '../../graph/graph.js';
import { convGeometry } from '../../graph/shapes.js';
import { UserError } from '../../errors.js';
import type { GradientRule, RuleContext } from '../rule.js';

/**
 * y = x ∗ W + b. The form of each gradient depends on the kind of convolution:
 * - 1×1: three matrix products;
 * - depthwise: dX and dW are depthwise convolutions themselves, dW with N·C groups whose kernel is dy;
 * - any other with one group: dX is the transposed convolution, dW one matrix product over the shifted inputs.
 */
export const conv: GradientRule = {
  op: 'Conv',
  gradients: (context) => {
    const geometry = geometryOf(context);
    return [
      () => inputGradient(context, geometry),
      () => weightGradient(context, geometry),
      () => context.g.reduceSum(context.dy, [0, 2, 3], false),
    ];
  },
};

type Pair = readonly [number, number];

/** Of a 2-D convolution: pairs are (height, width). */
interface Geometry {
  /** N, C, K: images, input channels, output channels. */
  readonly images: number;
  readonly channels: number;
  readonly kernels: number;
  readonly size: Pair;
  readonly outSize: Pair;
  readonly kernel: Pair;
  readonly strides: Pair;
  readonly dilations: Pair;
  readonly begins: Pair;
  readonly ends: Pair;
  readonly kind: 'pointwise' | 'depthwise' | 'dense';
}

function geometryOf({ node, input, dy }: RuleContext): Geometry {
  const { kernel, strides, dilations, pads, group } = convGeometry(node);
  const [images = 0, channels = 0, ...size] = concreteShape(input(0));
  const [, kernels = 0, ...outSize] = concreteShape(dy);
  const unsupported = (what: string) =>
    new UserError(
      'no-gradient-rule',
      `${describe(node)} is ${what}, which has no gradient rule; choose a policy that stops after it`,
    );
  if (kernel.length !== 2) throw unsupported(`a ${kernel.length}-D convolution`);
  const pair = (numbers: readonly number[], from = 0): Pair => [numbers[from] ?? 0, numbers[from + 1] ?? 0];
  const isUnit = [...kernel, ...strides].every((n) => n === 1) && pads.every((n) => n === 0);
  const isDepthwise = group === channels && kernels === channels && group > 1;
  if (group !== 1 && !isDepthwise) throw unsupported(`a convolution in ${group} groups`);
  return {
    images,
    channels,
    kernels,
    size: pair(size),
    outSize: pair(outSize),
    kernel: pair(kernel),
    strides: pair(strides),
    dilations: pair(dilations),
    begins: pair(pads),
    ends: pair(pads, 2),
    kind: isDepthwise ? 'depthwise' : isUnit ? 'pointwise' : 'dense',
  };
}

function inputGradient({ input, dy, g }: RuleContext, geometry: Geometry): Value {
  const { kind, channels, kernels, kernel, strides, dilations, begins, ends, size, outSize } = geometry;
  const weight = input(1);
  switch (kind) {
    case 'pointwise':
      return g.conv(
        dy,
        g.reshape(g.transpose(g.reshape(weight, [kernels, channels]), [1, 0]), [channels, kernels, 1, 1]),
      );
    case 'depthwise': {
      // A full convolution of dy, spread out by the strides, with the flipped kernel.
      const spread = spreadOut(g, dy, geometry);
      const spreadSize = each((axis) => (outSize[axis] - 1) * strides[axis] + 1);
      const reach = each((axis) => dilations[axis] * (kernel[axis] - 1));
      const before = each((axis) => reach[axis] - begins[axis]);
      const after = each((axis) => size[axis] - spreadSize[axis] + reach[axis] - before[axis]);
      const flipped = g.slice(weight, [-1, -1], [-kernel[0] - 1, -kernel[1] - 1], [2, 3], [-1, -1]);
      const padded = pad(g, spread, before, after);
      return g.conv(padded, flipped, { dilations, group: channels });
    }
    case 'dense': {
      const reached = each(
        (axis) =>
          (outSize[axis] - 1) * strides[axis] + dilations[axis] * (kernel[axis] - 1) + 1 - begins[axis] - ends[axis],
      );
      const outputPadding = each((axis) => size[axis] - reached[axis]);
      return g.convTranspose(dy, weight, { strides, dilations, pads: [...begins, ...ends], outputPadding });
    }
  }
}

function weightGradient({ input, dy, g }: RuleContext, geometry: Geometry): Value {
  const { kind, images, channels, kernels, kernel, strides, dilations, begins, ends, size, outSize } = geometry;
  const x = input(0);
  const area = outSize[0] * outSize[1];
  // [C, N, H, W] puts what a matrix product sums over last.
  const dyMatrix = () => g.reshape(g.transpose(dy, [1, 0, 2, 3]), [kernels, images * area]);
  switch (kind) {
    case 'pointwise': {
      const xMatrix = g.reshape(g.transpose(x, [1, 0, 2, 3]), [channels, images * area]);
      return g.reshape(g.gemm(dyMatrix(), xMatrix, { transB: true }), [kernels, channels, 1, 1]);
    }
    case 'depthwise': {
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
    case 'dense': {
      const padded = g.transpose(pad(g, x, begins, ends), [1, 0, 2, 3]);
      const taps: Value[] = [];
      for (let row = 0; row < kernel[0]; row++) {
        for (let column = 0; column < kernel[1]; column++) {
          const starts = each((axis) => (axis === 0 ? row : column) * dilations[axis]);
          const stops = each((axis) => starts[axis] + (outSize[axis] - 1) * strides[axis] + 1);
          taps.push(
            g.reshape(g.slice(padded, [...starts], [...stops], [2, 3], [...strides]), [channels, images * area]),
          );
        }
      }
      const product = g.gemm(dyMatrix(), g.concat(taps, 0), { transB: true });
      return g.reshape(g.transpose(g.reshape(product, [kernels, taps.length, channels]), [0, 2, 1]), [
        kernels,
        channels,
        ...kernel,
      ]);
    }
  }
}

/** `dy` with strides − 1 zeros between its rows and columns. */
function spreadOut(g: Builder, dy: Value, { images, kernels, strides, outSize }: Geometry): Value {
  if (strides[0] === 1 && strides[1] === 1) return dy;
  const [height, width] = outSize;
  const cells = g.reshape(dy, [images, kernels, height, 1, width, 1]);
  const spread = g.pad(cells, [0, 0, 0, 0, 0, 0, 0, 0, 0, strides[0] - 1, 0, strides[1] - 1]);
  const rows = g.reshape(spread, [images, kernels, height * strides[0], width * strides[1]]);
  return g.slice(rows, [0, 0], [(height - 1) * strides[0] + 1, (width - 1) * strides[1] + 1], [2, 3]);
}

/** Pads rows and columns with zeros; a negative number cuts them off. */
function pad(g: Builder, x: Value, before: Pair, after: Pair): Value {
  return [...before, ...after].every((n) => n === 0) ? x : g.pad(x, [0, 0, ...before, 0, 0, ...after]);
}

/** What `compute` gives for height and width. */
function each(compute: (axis: 0 | 1) => number): Pair {
  return [compute(0), compute(1)];
}
