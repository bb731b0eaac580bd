import { z } from 'zod';
import { ADAM_MOMENTS, adamDirection, adamSettings } from './adam.js';
import { decaySum, epsilon, norm, optimizerKind, ratioOrOne, type UpdateRule, weightDecay } from './updateRule.js';

/**
 * u = m̂/(√v̂ + ε) + λ·p,  p ← p − η·(‖p‖/‖u‖)·u  (You et al. 2020): Adam's direction, as long as the parameter. Parameters
 * that do not decay take u as it is.
 */
const lambSettings = adamSettings.extend({
  name: z.literal('lamb'),
  epsilon: epsilon.default(1e-6),
  weightDecay: weightDecay.default(0.01),
});
export type Lamb = z.infer<typeof lambSettings>;

function rule(settings: Lamb): UpdateRule {
  return {
    moments: ADAM_MOMENTS,
    prepare: (g, { learningRate, step }) => {
      const { scale, quotientOf } = adamDirection(g, step, settings);
      const rate = g.mul(learningRate, scale);
      return (inputs) => {
        const { parameter, decays } = inputs;
        const { quotient, moments } = quotientOf(inputs);
        if (!decays) return { parameter: g.sub(parameter, g.mul(quotient, rate)), moments };
        const direction = g.mul(quotient, scale);
        const update = settings.weightDecay > 0 ? decaySum(g, settings.weightDecay, parameter, direction) : direction;
        const trust = ratioOrOne(g, norm(g, parameter), norm(g, update));
        return { parameter: g.sub(parameter, g.mul(update, g.mul(learningRate, trust))), moments };
      };
    },
  };
}

export const lamb = optimizerKind(lambSettings, 5e-3, rule);
