import { z } from 'zod';
import {
  decayedGradient,
  decayRate,
  decaySum,
  epsilon,
  moment,
  optimizerKind,
  type UpdateRule,
  weightDecay,
} from './updateRule.js';

/**
 * v ← α·v + (1 − α)·g²,  p ← p − η·g/(√v + ε), or with momentum  m ← μ·m + g/(√v + ε),  p ← p − η·m  (Tieleman and Hinton
 * 2012, as PyTorch has it). Decay is added to the gradient.
 */
const rmspropSettings = z.strictObject({
  name: z.literal('rmsprop'),
  /** α. */
  smoothing: decayRate.default(0.99),
  epsilon: epsilon.default(1e-8),
  momentum: decayRate.default(0),
  weightDecay: weightDecay.default(0),
});
export type RmsProp = z.infer<typeof rmspropSettings>;

function rule({ smoothing, epsilon, momentum, weightDecay }: RmsProp): UpdateRule {
  // V = v/(1 − α) is kept, as in Adam: the factor goes into scalars, a pass less over the tensors.
  const scale = Math.sqrt(1 - smoothing);
  return {
    moments: momentum > 0 ? ['squares', 'momentum'] : ['squares'],
    prepare: (g, { learningRate }) => {
      const rate = g.mul(learningRate, g.scalar(1 / scale));
      return (inputs) => {
        const { parameter } = inputs;
        const gradient = decayedGradient(g, inputs, weightDecay);
        const squares = decaySum(g, smoothing, moment(inputs, 0), g.mul(gradient, gradient));
        const quotient = g.div(gradient, g.add(g.sqrt(squares), g.scalar(epsilon / scale)));
        if (momentum === 0) return { parameter: g.sub(parameter, g.mul(quotient, rate)), moments: [squares] };
        const velocity = decaySum(g, momentum, moment(inputs, 1), quotient);
        return { parameter: g.sub(parameter, g.mul(velocity, rate)), moments: [squares, velocity] };
      };
    },
  };
}

export const rmsprop = optimizerKind(rmspropSettings, 3e-4, rule);
