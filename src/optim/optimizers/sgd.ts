import { z } from 'zod';
import type { Builder } from '../../graph/builder.js';
import type { Value } from '../../graph/graph.js';
import {
  decayedGradient,
  decayRate,
  decaySum,
  moment,
  optimizerKind,
  type Schedule,
  type UpdateInputs,
  type UpdateRule,
  weightDecay,
} from './updateRule.js';

/**
 * m ← μ·m + g,  p ← p − η·m;  Nesterov's:  p ← p − η·(g + μ·m). Decay is added to the gradient. As in PyTorch
 * (Sutskever et al. 2013, with the learning rate outside of m).
 */
export const sgdSettings = z.strictObject({
  name: z.literal('sgd'),
  momentum: decayRate.default(0.9),
  nesterov: z.boolean().default(false),
  weightDecay: weightDecay.default(1e-4),
});
export type Sgd = z.infer<typeof sgdSettings>;

function rule({ momentum, nesterov, weightDecay }: Sgd): UpdateRule {
  return {
    moments: momentum > 0 ? ['momentum'] : [],
    prepare: (g, schedule) => (inputs) =>
      descend(g, schedule, inputs, decayedGradient(g, inputs, weightDecay), { momentum, nesterov }),
  };
}

/** The update by `gradient` as it is, decay included. */
export function descend(
  g: Builder,
  { learningRate }: Schedule,
  inputs: UpdateInputs,
  gradient: Value,
  { momentum, nesterov }: Pick<Sgd, 'momentum' | 'nesterov'>,
): { parameter: Value; moments: Value[] } {
  const { parameter } = inputs;
  if (momentum === 0) return { parameter: g.sub(parameter, g.mul(gradient, learningRate)), moments: [] };
  const velocity = decaySum(g, momentum, moment(inputs, 0), gradient);
  const direction = nesterov ? decaySum(g, momentum, velocity, gradient) : velocity;
  return { parameter: g.sub(parameter, g.mul(direction, learningRate)), moments: [velocity] };
}

export const sgd = optimizerKind(sgdSettings, 0.01, rule);
