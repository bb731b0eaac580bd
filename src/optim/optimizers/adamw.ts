import { z } from 'zod';
import { ADAM_MOMENTS, adamDirection, adamPass, adamSettings } from './adam.js';
import { optimizerKind, type UpdateRule, weightDecay } from './updateRule.js';

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
  };
}

export const adamw = optimizerKind(adamwSettings, 1e-3, rule);
