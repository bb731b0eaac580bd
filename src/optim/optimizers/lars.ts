import { z } from 'zod';
import { decayedGradient, norm, optimizerKind, ratioOrOne, type UpdateRule, weightDecay } from './updateRule.js';
import { descend, sgdSettings } from './sgd.js';
import { numberAbove } from '../../settings.js';

/**
 * SGD by g' = (g + λ·p) · κ·‖p‖/(‖g‖ + λ·‖p‖): each parameter moves by a share κ of its length (You et al. 2017). Those
 * that do not decay follow their gradient as it is.
 */
const larsSettings = sgdSettings.extend({
  name: z.literal('lars'),
  weightDecay: weightDecay.default(1e-4),
  /** κ. */
  trust: numberAbove(0).default(1e-3),
});
export type Lars = z.infer<typeof larsSettings>;

/** Keeps a vanishing gradient from a division by zero; timm's. */
const EPSILON = 1e-8;

function rule(settings: Lars): UpdateRule {
  const { momentum, weightDecay, trust } = settings;
  return {
    moments: momentum > 0 ? ['momentum'] : [],
    prepare: (g, schedule) => (inputs) => {
      const { parameter, gradient, decays } = inputs;
      if (!decays) return descend(g, schedule, inputs, gradient, settings);
      const [length, slope] = [norm(g, parameter), norm(g, gradient)];
      const scale = g.add(g.add(slope, g.mul(length, g.scalar(weightDecay))), g.scalar(EPSILON));
      const ratio = ratioOrOne(g, length, slope, g.div(g.mul(length, g.scalar(trust)), scale));
      return descend(g, schedule, inputs, g.mul(decayedGradient(g, inputs, weightDecay), ratio), settings);
    },
  };
}

export const lars = optimizerKind(larsSettings, 0.5, rule);
