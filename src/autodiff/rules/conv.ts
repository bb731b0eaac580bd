import { UserError } from '../../errors.js';
import type { Builder } from '../../graph/builder.js';
import { concreteShape, describe, type Node, type Value } from '../../graph/graph.js';
import { asPlane, type Geometry, geometryOf, inputGradient, weightGradient } from '../convolution.js';
import type { GradientRule } from '../rule.js';

/** y = x ∗ W + b  ⇒  see `convolution.ts` for dx and dW; db = Σ dy over images and space. */
export const conv: GradientRule = {
  op: 'Conv',
  gradients: ({ node, input, dy, g }) => {
    const geometry = planarGeometry(node, input(0), dy);
    return [
      () => like(g, input(0), inputGradient(g, geometry, asPlane(g, dy), asPlane(g, input(1)))),
      () => like(g, input(1), weightGradient(g, geometry, asPlane(g, input(0)), asPlane(g, dy))),
      () => overImages(g, dy),
    ];
  },
};

/**
 * y = x ∗ᵀ W + b is the dx of a convolution from y to x with the same weight, so its dx is that convolution of dy, and its dW
 * that one's dW with dy and x in each other's place.
 */
export const convTranspose: GradientRule = {
  op: 'ConvTranspose',
  gradients: ({ node, input, dy, g }) => {
    const geometry = planarGeometry(node, dy, input(0));
    const { strides, dilations, begins, ends, group, outSize } = geometry;
    return [
      () => {
        const attributes = { strides, dilations, pads: [...begins, ...ends], group };
        const whole = g.conv(asPlane(g, dy), asPlane(g, input(1)), attributes);
        // What output_padding added beyond the last stride gives further, meaningless rows.
        const [, , height = 0, width = 0] = concreteShape(whole);
        const isLarger = height !== outSize[0] || width !== outSize[1];
        return like(g, input(0), isLarger ? g.slice(whole, [0, 0], [...outSize], [2, 3]) : whole);
      },
      // In the transposed weight [C, K / groups, …] the first channels are x's.
      () => like(g, input(1), weightGradient(g, geometry, asPlane(g, dy), asPlane(g, input(0)))),
      () => overImages(g, dy),
    ];
  },
};

function planarGeometry(node: Node, x: Value, y: Value): Geometry {
  const geometry = geometryOf(node, x, y);
  if (geometry) return geometry;
  throw new UserError(
    'no-gradient-rule',
    `${describe(node)} is a convolution in three dimensions or more, which has no gradient rule; choose a policy that stops after it`,
  );
}

function like(g: Builder, value: Value, gradient: Value): Value {
  return g.reshape(gradient, concreteShape(value));
}

function overImages(g: Builder, dy: Value): Value {
  return g.reduceSum(
    dy,
    [
      0,
      ...concreteShape(dy)
        .slice(2)
        .map((_, axis) => axis + 2),
    ],
    false,
  );
}
