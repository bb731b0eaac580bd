import { z } from 'zod';
import type { Builder } from '../../graph/builder.js';
import type { Value } from '../../graph/graph.js';
import {
  decayedGradient,
  decayRate,
  decaySum,
  epsilon,
  moment,
  optimizerKind,
  type UpdateInputs,
  type UpdateRule,
  weightDecay,
} from './updateRule.js';

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

function rule(settings: Adam): UpdateRule {
  return {
    moments: ADAM_MOMENTS,
    prepare: (g, { learningRate, step }) => {
      const { scale, quotientOf } = adamDirection(g, step, settings);
      const rate = g.mul(learningRate, scale);
      return (inputs) => {
        const gradient = decayedGradient(g, inputs, settings.weightDecay);
        const { quotient, moments } = quotientOf({ ...inputs, gradient });
        return { parameter: g.sub(inputs.parameter, g.mul(quotient, rate)), moments };
      };
    },
  };
}

/**
 * m̂/(√v̂ + ε) as the product of a scalar `scale`, the same for all parameters, and a tensor `quotient`. A pass over a tensor
 * costs, a scalar does not; so the moments are kept as plain sums, M = m/(1 − β₁) and V = v/(1 − β₂), and all else is in
 * scalars: with c = √((1 − β₂)/(1 − β₂ᵗ)), m̂/(√v̂ + ε) = M/(√V + ε/c) · (1 − β₁)/((1 − β₁ᵗ)·c).
 */
export function adamDirection(
  g: Builder,
  step: Value,
  { beta1, beta2, epsilon }: Pick<Adam, 'beta1' | 'beta2' | 'epsilon'>,
): { scale: Value; quotientOf: (inputs: UpdateInputs) => { quotient: Value; moments: Value[] } } {
  const unbias = (beta: number) => g.sub(g.scalar(1), g.pow(g.scalar(beta), step));
  const c = g.sqrt(g.div(g.scalar(1 - beta2), unbias(beta2)));
  const offset = g.div(g.scalar(epsilon), c);
  return {
    scale: g.div(g.scalar(1 - beta1), g.mul(unbias(beta1), c)),
    quotientOf: (inputs) => {
      const { gradient } = inputs;
      const first = decaySum(g, beta1, moment(inputs, 0), gradient);
      const second = decaySum(g, beta2, moment(inputs, 1), g.mul(gradient, gradient));
      return { quotient: g.div(first, g.add(g.sqrt(second), offset)), moments: [first, second] };
    },
  };
}

export const adam = optimizerKind(adamSettings, 1e-3, rule);
