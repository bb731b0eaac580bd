import { UserError } from '../../errors.js';
import { concreteShape, describe } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/**
 * y = (x − μ)·r·γ + β with r = 1/√(variance + ε) for each channel, μ and variance given  ⇒  dx = dy·r·γ,
 * dγ = r·(Σ dy·x − μ·Σ dy), dβ = Σ dy. What is multiplied by r and μ has but C elements.
 */
export const batchNormalization: GradientRule = {
  op: 'BatchNormalization',
  gradients: ({ node, input, dy, g }) => {
    if (node.int('training_mode', 0) === 1) {
      throw new UserError(
        'no-gradient-rule',
        `${describe(node)} takes its statistics from the batch, and has no gradient rule; export the model in inference mode, or choose a policy that stops after it`,
      );
    }
    const rank = concreteShape(input(0)).length;
    const axes = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== 1);
    const inverseDeviation = () => g.op('Reciprocal', [g.sqrt(g.add(input(4), g.scalar(node.float('epsilon', 1e-5))))]);
    return [
      () => {
        const scale = g.mul(input(1), inverseDeviation());
        return g.mul(dy, g.reshape(scale, [concreteShape(scale)[0] ?? 0, ...axes.slice(1).map(() => 1)]));
      },
      () => {
        const products = g.reduceSum(g.mul(dy, input(0)), axes, false);
        return g.mul(inverseDeviation(), g.sub(products, g.mul(input(3), g.reduceSum(dy, axes, false))));
      },
      () => g.reduceSum(dy, axes, false),
      undefined,
      undefined,
    ];
  },
};
