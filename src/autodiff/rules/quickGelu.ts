import type { GradientRule } from '../rule.js';

/**
 * y = x · σ(αx)  ⇒  with s = σ(αx): dx = dy · (s + αy · (1 − s)). With α = 1 this is SiLU (Swish). Taking s anew from x is
 * cheaper than keeping it, since the forward pass then is one fused operator.
 */
const sigmoidTimesX = (op: string, domain: string, defaultAlpha: number): GradientRule => ({
  op,
  domain,
  gradients: ({ node, input, output, dy, g }) => [
    () => {
      const alpha = node.float('alpha', defaultAlpha);
      const scaled = (x: typeof dy) => (alpha === 1 ? x : g.mul(x, g.scalar(alpha)));
      const s = g.sigmoid(scaled(input(0)));
      return g.mul(dy, g.add(s, g.mul(scaled(output()), g.sub(g.scalar(1), s))));
    },
  ],
});

export const quickGelu = sigmoidTimesX('QuickGelu', 'com.microsoft', 1.702);
export const swish = sigmoidTimesX('Swish', '', 1);
