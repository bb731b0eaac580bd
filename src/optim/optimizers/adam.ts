import { z } from 'zod';
import type { Builder } from '../../graph/builder.js';
import type { Value } from '../../graph/graph.js';
import type { Kernels } from '../kernels/kernels.js';
import {
  decayRate,
  epsilon,
  moment,
  type NodeInputs,
  numberOf,
  optimizerKind,
  scaledSum,
  type Schedule,
  type UpdateInputs,
  type UpdateRule,
  weightDecay,
} from './updateRule.js';

/**
 * m ← β₁·m + (1 − β₁)·g,  v ← β₂·v + (1 − β₂)·g²,  p ← p − η·m̂/(√v̂ + ε)  with m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ)
 * (Kingma and Ba 2015). Decay is added to the gradient.
 */
export const adamSettings = z.strictObject({
  name: z.literal('adam'),
  beta1: decayRate.default(0.9),
  beta2: decayRate.default(0.999),
  epsilon: epsilon.default(1e-8),
  weightDecay: weightDecay.default(0),
});
export type Adam = z.infer<typeof adamSettings>;

export const ADAM_MOMENTS = ['firstMoment', 'secondMoment'] as const;

function rule(settings: Adam): UpdateRule {
  return {
    moments: ADAM_MOMENTS,
    update: (kernels, inputs, { learningRate, step }) => {
      const direction = adamDirection(step, settings);
      const decay = inputs.decays ? settings.weightDecay : 0;
      adamPass(kernels, inputs, direction, { decay, keep: 1, rate: learningRate * direction.scale });
    },
    numbers: ({ learningRate, step }) => {
      const { offset, scale } = adamDirection(step, settings);
      return [learningRate * scale, offset];
    },
    nodes: (g, inputs) => {
      const { parameter, decays } = inputs;
      const gradient = scaledSum(g, decays ? settings.weightDecay : 0, parameter, inputs.gradient);
      const { quotient, moments } = adamNodes(g, { ...inputs, gradient }, settings, numberOf(inputs, 1));
      return { parameter: g.sub(parameter, g.mul(quotient, numberOf(inputs, 0))), moments };
    },
  };
}

/** What Adam's direction takes at a step, the same for all elements. */
export interface AdamDirection {
  readonly beta1: number;
  readonly beta2: number;
  /** m̂/(√v̂ + ε) = M/(√V + offset) · scale. */
  readonly offset: number;
  readonly scale: number;
}

/**
 * m̂/(√v̂ + ε) with the moments as plain sums, M = m/(1 − β₁) and V = v/(1 − β₂), and all else in two numbers:
 * with c = √((1 − β₂)/(1 − β₂ᵗ)) it is M/(√V + ε/c) · (1 − β₁)/((1 − β₁ᵗ)·c).
 */
export function adamDirection(
  step: Schedule['step'],
  { beta1, beta2, epsilon }: Pick<Adam, 'beta1' | 'beta2' | 'epsilon'>,
): AdamDirection {
  const c = Math.sqrt((1 - beta2) / (1 - beta2 ** step));
  return { beta1, beta2, offset: epsilon / c, scale: (1 - beta1) / ((1 - beta1 ** step) * c) };
}

interface AdamPass {
  /** What of the parameter is added to the gradient. */
  readonly decay: number;
  /** What of the parameter stays. */
  readonly keep: number;
  /** The learning rate times the direction's scale. */
  readonly rate: number;
}

/** Moves the moments, and p ← keep·p − rate·M/(√V + offset). */
export function adamPass(
  kernels: Kernels,
  inputs: UpdateInputs,
  { beta1, beta2, offset }: AdamDirection,
  pass: AdamPass,
): void {
  const { parameter, gradient, scale } = inputs;
  const arrays = { parameter, gradient, first: moment(inputs, 0), second: moment(inputs, 1) };
  kernels.call('adam', arrays, { scale, ...pass, beta1, beta2, offset });
}

/** Moves the moments. Gives M/(√V + offset) as well. */
export function adamNodes(
  g: Builder,
  inputs: NodeInputs,
  { beta1, beta2 }: Pick<Adam, 'beta1' | 'beta2'>,
  offset: Value,
): { readonly quotient: Value; readonly moments: readonly Value[] } {
  const { gradient } = inputs;
  const first = scaledSum(g, beta1, moment(inputs, 0), gradient);
  const second = scaledSum(g, beta2, moment(inputs, 1), g.mul(gradient, gradient));
  return { quotient: g.div(first, g.add(g.sqrt(second), offset)), moments: [first, second] };
}

export const adam = optimizerKind(adamSettings, 1e-3, rule);
