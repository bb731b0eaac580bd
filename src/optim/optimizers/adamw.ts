import { z } from 'zod';
import { ADAM_MOMENTS, adamDirection, adamNodes, adamPass, adamSettings } from './adam.js';
import { numberOf, optimizerKind, type UpdateRule, weightDecay } from './updateRule.js';

/** p ← (1 − η·λ)·p − η·m̂/(√v̂ + ε): Adam with its decay apart from the gradient (Loshchilov and Hutter 2019). */
const adamwSettings = adamSettings.extend({ name: z.literal('adamw'), weightDecay: weightDecay.default(0.01) });
export type AdamW = z.infer<typeof adamwSettings>;

function rule(settings: AdamW): UpdateRule {
  return {
    moments: ADAM_MOMENTS,
    update: (kernels, inputs, { learningRate, step }) => {
      const direction = adamDirection(step, settings);
      const keep = inputs.decays ? 1 - learningRate * settings.weightDecay : 1;
      adamPass(kernels, inputs, direction, { decay: 0, keep, rate: learningRate * direction.scale });
    },
    numbers: ({ learningRate, step }) => {
      const { offset, scale } = adamDirection(step, settings);
      return [learningRate * scale, offset, 1 - learningRate * settings.weightDecay];
    },
    nodes: (g, inputs) => {
      const { parameter, decays } = inputs;
      const { quotient, moments } = adamNodes(g, inputs, settings, numberOf(inputs, 1));
      const kept = decays && settings.weightDecay > 0 ? g.mul(parameter, numberOf(inputs, 2)) : parameter;
      return { parameter: g.sub(kept, g.mul(quotient, numberOf(inputs, 0))), moments };
    },
  };
}

export const adamw = optimizerKind(adamwSettings, 1e-3, rule);
