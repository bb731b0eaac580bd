import { z } from 'zod';
import { numberAbove } from '../../settings.js';
import { descend, descentNodes, sgdSettings } from './sgd.js';
import {
  norm,
  optimizerKind,
  ratioOrOne,
  ratioOrOneNodes,
  scaledSum,
  sumOfSquares,
  type UpdateRule,
  weightDecay,
} from './updateRule.js';

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
    numbers: ({ learningRate }) => [learningRate],
    nodes: (g, inputs) => {
      const { parameter, gradient, decays } = inputs;
      if (!decays) return descentNodes(g, inputs, { momentum, nesterov });
      const [length, slope] = [norm(g, parameter), norm(g, gradient)];
      const whole = g.add(scaledSum(g, weightDecay, length, slope), g.scalar(EPSILON));
      const ratio = ratioOrOneNodes(g, length, slope, g.div(g.mul(length, g.scalar(trust)), whole));
      const scaled = g.mul(scaledSum(g, weightDecay, parameter, gradient), ratio);
      return descentNodes(g, { ...inputs, gradient: scaled }, { momentum, nesterov });
    },
  };
}

export const lars = optimizerKind(larsSettings, 0.5, rule);
