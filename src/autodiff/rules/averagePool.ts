import { UserError } from '../../errors.js';
import { concreteShape, describe } from '../../graph/graph.js';
import { floatTensor } from '../../onnx/tensor.js';
import { asPlane, each, geometryOf, padPlane, spreadOut } from '../convolution.js';
import type { GradientRule } from '../rule.js';

/**
 * y = mean of x over each window  ⇒  dx at a place is the sum of dy / count over the windows that hold it. Those are a window
 * themselves, over dy spread out by the strides; without overlap each place has but one.
 */
export const averagePool: GradientRule = {
  op: 'AveragePool',
  gradients: ({ node, input, dy, g }) => [
    () => {
      const geometry = geometryOf(node, input(0), dy);
      if (!geometry) {
        throw new UserError(
          'no-gradient-rule',
          `${describe(node)} pools in three dimensions or more, which has no gradient rule; choose a policy that stops after it`,
        );
      }
      const { images, channels, size, outSize, kernel, strides, dilations, begins, ends } = geometry;
      const area = kernel[0] * kernel[1];
      // How many places of the input each window counts, along one axis.
      const includesPads = node.int('count_include_pad', 0) === 1;
      const counts = each((axis) =>
        Array.from({ length: outSize[axis] }, (_, window) => {
          const [low, high] = includesPads ? [-begins[axis], size[axis] + ends[axis]] : [0, size[axis]];
          return Array.from(
            { length: kernel[axis] },
            (__, tap) => window * strides[axis] - begins[axis] + tap * dilations[axis],
          ).filter((place) => place >= low && place < high).length;
        }),
      );
      const isEven = counts[0].every((count) => count === kernel[0]) && counts[1].every((count) => count === kernel[1]);
      const shares = counts[0].flatMap((rows) => counts[1].map((columns) => 1 / (rows * columns)));
      const planar = asPlane(g, dy);
      const share = isEven
        ? g.mul(planar, g.scalar(1 / area))
        : g.mul(planar, g.constant('shares', floatTensor([1, 1, ...outSize], shares)));

      const isTiling = each(
        (axis) => kernel[axis] === strides[axis] && outSize[axis] * kernel[axis] === size[axis],
      ).every(Boolean);
      if (isTiling && [...begins, ...ends].every((n) => n === 0)) {
        const cells = g.reshape(share, [images, channels, outSize[0], 1, outSize[1], 1]);
        const spread = g.expand(cells, [images, channels, outSize[0], kernel[0], outSize[1], kernel[1]]);
        return g.reshape(spread, concreteShape(input(0)));
      }
      const reach = each((axis) => dilations[axis] * (kernel[axis] - 1));
      const before = each((axis) => reach[axis] - begins[axis]);
      const after = each((axis) => size[axis] + reach[axis] - before[axis] - ((outSize[axis] - 1) * strides[axis] + 1));
      const padded = padPlane(g, spreadOut(g, share, strides), before, after);
      // ONNX Runtime would fuse the Pad into an AveragePool, and refuse pads as large as the kernel.
      const ones = g.constant('ones', floatTensor([channels, 1, ...kernel], new Float32Array(channels * area).fill(1)));
      return g.reshape(g.conv(padded, ones, { dilations, group: channels }), concreteShape(input(0)));
    },
  ],
};
