import { UserError } from '../errors.js';
import type { Builder } from '../graph/builder.js';
import type { Value } from '../graph/graph.js';

/** Stochastic gradient descent with momentum; weight decay is added to the gradient, as in PyTorch. */
export interface Sgd {
  readonly name: 'sgd';
  readonly momentum: number;
  readonly weightDecay: number;
}

/** AdamW: decoupled weight decay (Loshchilov and Hutter 2019), bias-corrected moments. */
export interface AdamW {
  readonly name: 'adamw';
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
}

export type Optimizer = Sgd | AdamW;

/** PyTorch's defaults, but for SGD's momentum. */
export const optimizers: { readonly [Name in Optimizer['name']]: Extract<Optimizer, { name: Name }> } = {
  sgd: { name: 'sgd', momentum: 0.9, weightDecay: 1e-4 },
  adamw: { name: 'adamw', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 },
};

/** The optimizer called `name`. @throws UserError `bad-optimizer`. */
export function optimizerCalled(name: string): Optimizer {
  const optimizer = Object.values(optimizers).find((known) => known.name === name);
  if (!optimizer)
    throw new UserError(
      'bad-optimizer',
      `expected one of ${Object.keys(optimizers).join(', ')}, got "${name}" (--optimizer)`,
    );
  return optimizer;
}

/** The tensors, each of its parameter's shape and zero at first, that an optimizer keeps for a parameter. */
export function momentsOf(optimizer: Optimizer): readonly string[] {
  switch (optimizer.name) {
    case 'sgd':
      return ['momentum'];
    case 'adamw':
      return ['firstMoment', 'secondMoment'];
  }
}

/** What one step's updates share: scalars of the training graph. */
export interface StepInputs {
  /** float32 scalar. */
  readonly learningRate: Value;
  /** float32 scalar, 1 at the first step. */
  readonly step: Value;
}

/** The new value of `parameter` and of its moments, from its `gradient`. */
export function update(
  g: Builder,
  optimizer: Optimizer,
  parameter: Value,
  gradient: Value,
  moments: readonly Value[],
  { learningRate, step }: StepInputs,
): { parameter: Value; moments: Value[] } {
  const moment = (index: number): Value => {
    const value = moments[index];
    if (!value) throw new Error(`${optimizer.name} lacks its moment ${index}`);
    return value;
  };
  switch (optimizer.name) {
    case 'sgd': {
      const decayed =
        optimizer.weightDecay === 0 ? gradient : g.add(gradient, g.mul(parameter, g.scalar(optimizer.weightDecay)));
      const momentum = g.add(g.mul(moment(0), g.scalar(optimizer.momentum)), decayed);
      return { parameter: g.sub(parameter, g.mul(momentum, learningRate)), moments: [momentum] };
    }
    case 'adamw': {
      const { beta1, beta2, epsilon, weightDecay } = optimizer;
      const first = g.add(g.mul(moment(0), g.scalar(beta1)), g.mul(gradient, g.scalar(1 - beta1)));
      const second = g.add(g.mul(moment(1), g.scalar(beta2)), g.mul(g.mul(gradient, gradient), g.scalar(1 - beta2)));
      // Scalars: these nodes cost nothing beside the tensors.
      const firstCorrection = g.sub(g.scalar(1), g.pow(g.scalar(beta1), step));
      const secondCorrection = g.sqrt(g.sub(g.scalar(1), g.pow(g.scalar(beta2), step)));
      const rate = g.div(learningRate, firstCorrection);
      const denominator = g.add(g.mul(g.sqrt(second), g.div(g.scalar(1), secondCorrection)), g.scalar(epsilon));
      const keep = g.sub(g.scalar(1), g.mul(learningRate, g.scalar(weightDecay)));
      return {
        parameter: g.sub(g.mul(parameter, keep), g.mul(g.div(first, denominator), rate)),
        moments: [first, second],
      };
    }
  }
}
