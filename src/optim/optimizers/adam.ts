import { z } from 'zod';
import type { Builder } from '../../graph/builder.js';
import type { Value } from '../../graph/graph.js';
import {
  decayedGradient,
  decayRate,
  decaySum,
  epsilon,
  moment,
  type UpdateInputs,
  type UpdateRule,
  weightDecay,
} from './rule.js';

/**
 * m ← β₁·m + (1 − β₁)·g,  v ← β₂·v + (1 − β₂)·g²,  p ← p − η·m̂/(√v̂ + ε)  with m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ)
 * (Kingma and Ba 2015). Decay is added to the gradient.
 */
export const adamSettings = z.strictObject({
  name: z.literal('adam'),
  beta1: decayRate.default(0.9),
  beta2: decayRate.default(0.999),
  epsilon: epsilon.default(1e-8),
  weightDecay: weightDecay.default(0),
});
export type Adam = z.infer<typeof adamSettings>;

export const ADAM_MOMENTS = ['firstMoment', 'secondMoment'] as const;

export function adam(settings: Adam): UpdateRule {
  return {
    moments: ADAM_MOMENTS,
    update: (g, inputs) => {
      const gradient = decayedGradient(g, inputs, settings.weightDecay);
      const { quotient, scale, moments } = adamDirection(g, { ...inputs, gradient }, settings);
      const change = g.mul(quotient, g.mul(inputs.learningRate, scale));
      return { parameter: g.sub(inputs.parameter, change), moments };
    },
  };
}

/**
 * m̂/(√v̂ + ε) as a tensor `quotient` and a scalar `scale` whose product it is. A pass over a tensor costs, a scalar does not;
 * so the moments are kept as plain sums, M = m/(1 − β₁) and V = v/(1 − β₂), and all else is in the scalars: with
 * c = √((1 − β₂)/(1 − β₂ᵗ)), m̂/(√v̂ + ε) = M/(√V + ε/c) · (1 − β₁)/((1 − β₁ᵗ)·c).
 */
export function adamDirection(
  g: Builder,
  inputs: UpdateInputs,
  { beta1, beta2, epsilon }: Pick<Adam, 'beta1' | 'beta2' | 'epsilon'>,
): { quotient: Value; scale: Value; moments: Value[] } {
  const { gradient, step } = inputs;
  const first = decaySum(g, beta1, moment(inputs, 0), gradient);
  const second = decaySum(g, beta2, moment(inputs, 1), g.mul(gradient, gradient));
  const unbias = (beta: number) => g.sub(g.scalar(1), g.pow(g.scalar(beta), step));
  const c = g.sqrt(g.div(g.scalar(1 - beta2), unbias(beta2)));
  return {
    quotient: g.div(first, g.add(g.sqrt(second), g.div(g.scalar(epsilon), c))),
    scale: g.div(g.scalar(1 - beta1), g.mul(unbias(beta1), c)),
    moments: [first, second],
  };
}
