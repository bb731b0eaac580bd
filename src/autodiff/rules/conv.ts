import { channelSum, convolutionOf, largeGradient, weightGradient } from '../convolution.js';
import type { GradientRule } from '../rule.js';

/** y = x ∗ W + b  ⇒  dx = dy ∗ᵀ W, dW = x correlated with dy, db = Σ dy; see convolution.ts for the forms they take. */
export const conv: GradientRule = {
  op: 'Conv',
  gradients: ({ node, input, output, dy, g }) => {
    const convolution = convolutionOf(node, input(0), output());
    return [
      () => largeGradient(g, dy, input(1), convolution),
      () => weightGradient(g, input(0), dy, convolution),
      () => channelSum(g, dy),
    ];
  },
};
