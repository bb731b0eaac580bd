import { z } from 'zod';
import { ADAM_MOMENTS, type AdamDirection, adamDirection, adamNodes, adamPass, adamSettings } from './adam.js';
import {
  epsilon,
  moment,
  norm,
  numberOf,
  optimizerKind,
  ratioOrOne,
  ratioOrOneNodes,
  scaledSum,
  type UpdateInputs,
  type UpdateRule,
  weightDecay,
} from './updateRule.js';

/**
 * u = m̂/(√v̂ + ε) + λ·p,  p ← p − η·(‖p‖/‖u‖)·u  (You et al. 2020): Adam's direction, as long as the parameter. Parameters
 * that do not decay take u as it is.
 */
const lambSettings = adamSettings.extend({
  name: z.literal('lamb'),
  epsilon: epsilon.default(1e-6),
  weightDecay: weightDecay.default(0.01),
});
export type Lamb = z.infer<typeof lambSettings>;

function rule(settings: Lamb): UpdateRule {
  return {
    moments: ADAM_MOMENTS,
    update: (kernels, inputs, { learningRate, step }) => {
      const direction = adamDirection(step, settings);
      if (!inputs.decays) {
        adamPass(kernels, inputs, direction, { decay: 0, keep: 1, rate: learningRate * direction.scale });
        return;
      }
      const { parameterNorm, updateNorm } = moveMoments(inputs, direction, settings.weightDecay);
      const rate = learningRate * ratioOrOne(parameterNorm, updateNorm, parameterNorm / updateNorm);
      descend(inputs, direction, { rate, decay: settings.weightDecay });
    },
    numbers: ({ learningRate, step }) => {
      const { offset, scale } = adamDirection(step, settings);
      return [learningRate, offset, scale];
    },
    nodes: (g, inputs) => {
      const { parameter, decays } = inputs;
      const [rate, scale] = [numberOf(inputs, 0), numberOf(inputs, 2)];
      const { quotient, moments } = adamNodes(g, inputs, settings, numberOf(inputs, 1));
      const direction = g.mul(quotient, scale);
      if (!decays) return { parameter: g.sub(parameter, g.mul(direction, rate)), moments };
      const update = scaledSum(g, settings.weightDecay, parameter, direction);
      const [length, slope] = [norm(g, parameter), norm(g, update)];
      const trust = ratioOrOneNodes(g, length, slope, g.div(length, slope));
      return { parameter: g.sub(parameter, g.mul(update, g.mul(rate, trust))), moments };
    },
  };
}

/** Moves the moments. Gives ‖p‖ and ‖u‖. */
function moveMoments(inputs: UpdateInputs, { beta1, beta2, offset, scale: length }: AdamDirection, decay: number) {
  const { parameter, gradient, scale } = inputs;
  const [first, second] = [moment(inputs, 0), moment(inputs, 1)];
  let [parameterSum, updateSum] = [0, 0];
  for (let i = 0; i < parameter.length; i++) {
    const p = parameter[i] ?? 0;
    const g = (gradient[i] ?? 0) * scale;
    const m = beta1 * (first[i] ?? 0) + g;
    const v = beta2 * (second[i] ?? 0) + g * g;
    first[i] = m;
    second[i] = v;
    const u = (length * m) / (Math.sqrt(v) + offset) + decay * p;
    parameterSum += p * p;
    updateSum += u * u;
  }
  return { parameterNorm: Math.sqrt(parameterSum), updateNorm: Math.sqrt(updateSum) };
}

/** p ← p − rate·u */
function descend(
  inputs: UpdateInputs,
  { offset, scale }: AdamDirection,
  { rate, decay }: { readonly rate: number; readonly decay: number },
): void {
  const { parameter } = inputs;
  const [first, second] = [moment(inputs, 0), moment(inputs, 1)];
  for (let i = 0; i < parameter.length; i++) {
    const p = parameter[i] ?? 0;
    const u = (scale * (first[i] ?? 0)) / (Math.sqrt(second[i] ?? 0) + offset) + decay * p;
    parameter[i] = p - rate * u;
  }
}

export const lamb = optimizerKind(lambSettings, 5e-3, rule);
