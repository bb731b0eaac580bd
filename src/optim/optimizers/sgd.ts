import { z } from 'zod';
import type { Builder } from '../../graph/builder.js';
import type { Kernels } from '../kernels/kernels.js';
import {
  decayRate,
  moment,
  type NodeInputs,
  type NodeResults,
  numberOf,
  optimizerKind,
  scaledSum,
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
    update: (kernels, inputs, { learningRate }) => {
      const decay = inputs.decays ? weightDecay : 0;
      descend(kernels, inputs, { decay, learningRate, momentum, nesterov, ratio: 1 });
    },
    numbers: ({ learningRate }) => [learningRate],
    nodes: (g, inputs) => {
      const gradient = scaledSum(g, inputs.decays ? weightDecay : 0, inputs.parameter, inputs.gradient);
      return descentNodes(g, { ...inputs, gradient }, { momentum, nesterov });
    },
  };
}

export interface Descent extends Pick<Sgd, 'momentum' | 'nesterov'> {
  readonly learningRate: number;
  /** What of the parameter is added to the gradient. */
  readonly decay: number;
  /** What the gradient, decay included, is multiplied by. */
  readonly ratio: number;
}

/** The update by the gradient with its decay. */
export function descend(
  kernels: Kernels,
  inputs: UpdateInputs,
  { learningRate, decay, ratio, momentum, nesterov }: Descent,
): void {
  const { parameter, gradient } = inputs;
  const scalars = { scale: inputs.scale * ratio, decay: decay * ratio, rate: learningRate };
  if (momentum === 0) {
    kernels.call('descend', { parameter, gradient }, scalars);
    return;
  }
  const ahead = nesterov ? { ahead: momentum, own: 1 } : { ahead: 1, own: 0 };
  kernels.call('momentum', { parameter, gradient, velocity: moment(inputs, 0) }, { ...scalars, momentum, ...ahead });
}

/** The same by a gradient with its decay, times its ratio, in a graph. */
export function descentNodes(
  g: Builder,
  inputs: NodeInputs,
  { momentum, nesterov }: Pick<Sgd, 'momentum' | 'nesterov'>,
): NodeResults {
  const { parameter, gradient } = inputs;
  const rate = numberOf(inputs, 0);
  if (momentum === 0) return { parameter: g.sub(parameter, g.mul(gradient, rate)), moments: [] };
  const velocity = scaledSum(g, momentum, moment(inputs, 0), gradient);
  const direction = nesterov ? scaledSum(g, momentum, velocity, gradient) : velocity;
  return { parameter: g.sub(parameter, g.mul(direction, rate)), moments: [velocity] };
}

export const sgd = optimizerKind(sgdSettings, 0.01, rule);
