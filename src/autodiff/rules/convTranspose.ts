import { channelSum, convolutionOf, convolve, weightGradient } from '../convolution.js';
import type { GradientRule } from '../rule.js';

/** y = x ∗ᵀ W + b, the convolution y → x read backwards  ⇒  dx = dy ∗ W, dW = dy correlated with x, db = Σ dy. */
export const convTranspose: GradientRule = {
  op: 'ConvTranspose',
  gradients: ({ node, input, output, dy, g }) => {
    const convolution = convolutionOf(node, output(), input(0));
    return [
      () => convolve(g, dy, input(1), convolution),
      () => weightGradient(g, dy, input(0), convolution),
      () => channelSum(g, dy),
    ];
  },
};
