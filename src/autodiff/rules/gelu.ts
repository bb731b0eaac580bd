import type { Builder } from '../../graph/builder.js';
import type { Value } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';
import { erfSlope } from './erf.js';

/** y = x·Φ(x), Φ the normal distribution's; or, with `approximate="tanh"`, {@link tanhSlope}'s approximation of it. */
export const gelu: GradientRule = {
  op: 'Gelu',
  gradients: ({ node, input, output, dy, g }) => [
    () =>
      node.string('approximate', 'none') === 'tanh'
        ? g.mul(dy, tanhSlope(g, input(0), output()))
        : exactGradient(g, input(0), dy),
  ],
};

export const microsoftGelu: GradientRule = {
  op: 'Gelu',
  domain: 'com.microsoft',
  gradients: ({ input, dy, g }) => [() => exactGradient(g, input(0), dy)],
};

/** The approximation of x + b, b being optional. */
export const fastGelu: GradientRule = {
  op: 'FastGelu',
  domain: 'com.microsoft',
  gradients: ({ node, input, output, dy, g }) => {
    const gradient = () => {
      const bias = node.inputs[1];
      return g.mul(dy, tanhSlope(g, bias ? g.add(input(0), bias) : input(0), output()));
    };
    return [gradient, gradient];
  },
};

/** dy · (Φ(x) + x·Φ′(x)); with z = x/√2 that is dy · ½ (1 + erf z + z·erf′ z). */
function exactGradient(g: Builder, x: Value, dy: Value): Value {
  const z = g.mul(x, g.scalar(Math.SQRT1_2));
  const slope = g.add(g.op('Erf', [z]), g.mul(z, erfSlope(g, z)));
  return g.mul(g.mul(dy, g.scalar(0.5)), g.add(slope, g.scalar(1)));
}

/** The slope of y = ½x(1 + tanh u) with u = k(x + cx³), which is x·s with s = σ(2u): s + y(1 − s) · 2u′. */
function tanhSlope(g: Builder, x: Value, y: Value): Value {
  const k = 2 * Math.sqrt(2 / Math.PI);
  const cubic = k * 0.044715;
  const square = g.mul(x, x);
  const s = g.sigmoid(g.mul(x, g.add(g.mul(square, g.scalar(cubic)), g.scalar(k))));
  const inner = g.add(g.mul(square, g.scalar(3 * cubic)), g.scalar(k));
  return g.add(s, g.mul(g.mul(y, inner), g.sub(g.scalar(1), s)));
}
