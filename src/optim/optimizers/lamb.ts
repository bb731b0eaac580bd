import { z } from 'zod';
import { ADAM_MOMENTS, adamDirection, adamSettings } from './adam.js';
import { decaySum, epsilon, norm, ratioOrOne, type UpdateRule, weightDecay } from './rule.js';

/**
 * u = m̂/(√v̂ + ε) + λ·p,  p ← p − η·(‖p‖/‖u‖)·u  (You et al. 2020): Adam's direction, as long as the parameter. Parameters
 * that do not decay take u as it is.
 */
export const lambSettings = adamSettings.extend({
  name: z.literal('lamb'),
  epsilon: epsilon.default(1e-6),
  weightDecay: weightDecay.default(0.01),
});
export type Lamb = z.infer<typeof lambSettings>;

export function lamb(settings: Lamb): UpdateRule {
  return {
    moments: ADAM_MOMENTS,
    update: (g, inputs) => {
      const { parameter, learningRate, decays } = inputs;
      const { quotient, scale, moments } = adamDirection(g, inputs, settings);
      if (!decays) return { parameter: g.sub(parameter, g.mul(quotient, g.mul(learningRate, scale))), moments };
      const direction = g.mul(quotient, scale);
      const update = settings.weightDecay > 0 ? decaySum(g, settings.weightDecay, parameter, direction) : direction;
      const trust = ratioOrOne(g, norm(g, parameter), norm(g, update));
      return { parameter: g.sub(parameter, g.mul(update, g.mul(learningRate, trust))), moments };
    },
  };
}
