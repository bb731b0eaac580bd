import { z } from 'zod';
import { numberAbove } from '../../settings.js';
import { descend, sgdSettings } from './sgd.js';
import { optimizerKind, ratioOrOne, sumOfSquares, type UpdateRule, weightDecay } from './updateRule.js';

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

function rule({ momentum, nesterov, weightDecay, trust }: Lars): UpdateRule {
  return {
    moments: momentum > 0 ? ['momentum'] : [],
    update: (kernels, inputs, { learningRate }) => {
      const { parameter, gradient, scale, decays } = inputs;
      if (!decays) {
        descend(kernels, inputs, { decay: 0, learningRate, momentum, nesterov, ratio: 1 });
        return;
      }
      const [length, slope] = [Math.sqrt(sumOfSquares(parameter)), Math.sqrt(sumOfSquares(gradient, scale))];
      const ratio = ratioOrOne(length, slope, (length * trust) / (slope + length * weightDecay + EPSILON));
      descend(kernels, inputs, { decay: weightDecay, learningRate, momentum, nesterov, ratio });
    },
  };
}

export const lars = optimizerKind(larsSettings, 0.5, rule);
