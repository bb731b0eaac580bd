import { z } from 'zod';
import {
  decayRate,
  epsilon,
  moment,
  numberOf,
  optimizerKind,
  scaledSum,
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
  // V = v/(1 − α) is kept, as in Adam, and m without the same factor.
  const factor = Math.sqrt(1 - smoothing);
  const offset = epsilon / factor;
  return {
    moments: momentum > 0 ? ['squares', 'momentum'] : ['squares'],
    update: (kernels, inputs, { learningRate }) => {
      const { parameter, gradient, scale, decays } = inputs;
      const scalars = { scale, decay: decays ? weightDecay : 0, rate: learningRate / factor, smoothing, offset };
      const arrays = { parameter, gradient, squares: moment(inputs, 0) };
      if (momentum === 0) kernels.call('rmsprop', arrays, scalars);
      else kernels.call('rmspropMomentum', { ...arrays, velocity: moment(inputs, 1) }, { ...scalars, momentum });
    },
    numbers: ({ learningRate }) => [learningRate / factor],
    nodes: (g, inputs) => {
      const { parameter, decays } = inputs;
      const rate = numberOf(inputs, 0);
      const gradient = scaledSum(g, decays ? weightDecay : 0, parameter, inputs.gradient);
      const squares = scaledSum(g, smoothing, moment(inputs, 0), g.mul(gradient, gradient));
      const quotient = g.div(gradient, g.add(g.sqrt(squares), g.scalar(offset)));
      if (momentum === 0) return { parameter: g.sub(parameter, g.mul(quotient, rate)), moments: [squares] };
      const velocity = scaledSum(g, momentum, moment(inputs, 1), quotient);
      return { parameter: g.sub(parameter, g.mul(velocity, rate)), moments: [squares, velocity] };
    },
  };
}

export const rmsprop = optimizerKind(rmspropSettings, 3e-4, rule);
