import { z } from 'zod';
import { ADAM_MOMENTS, adamDirection, adamSettings } from './adam.js';
import { optimizerKind, type UpdateRule, weightDecay } from './updateRule.js';

/** p ← (1 − η·λ)·p − η·m̂/(√v̂ + ε): Adam with its decay apart from the gradient (Loshchilov and Hutter 2019). */
const adamwSettings = adamSettings.extend({ name: z.literal('adamw'), weightDecay: weightDecay.default(0.01) });
export type AdamW = z.infer<typeof adamwSettings>;

function rule(settings: AdamW): UpdateRule {
  return {
    moments: ADAM_MOMENTS,
    prepare: (g, { learningRate, step }) => {
      const { scale, quotientOf } = adamDirection(g, step, settings);
      const rate = g.mul(learningRate, scale);
      const keep = g.sub(g.scalar(1), g.mul(learningRate, g.scalar(settings.weightDecay)));
      return (inputs) => {
        const { parameter, decays } = inputs;
        const { quotient, moments } = quotientOf(inputs);
        const kept = decays && settings.weightDecay > 0 ? g.mul(parameter, keep) : parameter;
        return { parameter: g.sub(kept, g.mul(quotient, rate)), moments };
      };
    },
  };
}

export const adamw = optimizerKind(adamwSettings, 1e-3, rule);
