import type { z } from 'zod';
import type { Builder } from '../../graph/builder.js';
import type { Value } from '../../graph/graph.js';
import { numberAbove, numberBelow, numberFrom } from '../../settings.js';

/** What parameters share at a step. */
export interface Schedule {
  /** float32 scalar, the multiplier of these parameters included. */
  readonly learningRate: Value;
  /** float32 scalar, 1 at the first step. */
  readonly step: Value;
}

/** One parameter at one step. */
export interface UpdateInputs {
  readonly parameter: Value;
  /** The gradient has the parameter's shape. */
  readonly gradient: Value;
  /** The moments in the order of {@link UpdateRule.moments}; each has the parameter's shape. */
  readonly moments: readonly Value[];
  /** Whether weight decay, and the trust ratio of LAMB and LARS, take hold of this parameter. */
  readonly decays: boolean;
}

interface Updated {
  readonly parameter: Value;
  readonly moments: readonly Value[];
}

/** An optimizer with its settings. */
export interface UpdateRule {
  /** The tensors that it keeps for a parameter: each of its shape, and zero at first. */
  readonly moments: readonly string[];
  /** Appends what parameters share; what this gives appends the update of one. */
  readonly prepare: (g: Builder, schedule: Schedule) => (inputs: UpdateInputs) => Updated;
}

/** What an optimizer is: all that the rest of the program knows of it. */
export interface OptimizerKind<Settings extends z.ZodType> {
  readonly settings: Settings;
  /** A peak learning rate for some ten epochs on a few layers. */
  readonly usualLearningRate: number;
  /** What it appends to a training graph. @throws ZodError for settings of another optimizer. */
  readonly ruleFor: (settings: unknown) => UpdateRule;
}

/** @param settings is an object whose `name` is a literal, with a default for every other key. */
export function optimizerKind<Settings extends z.ZodType>(
  settings: Settings,
  usualLearningRate: number,
  rule: (settings: z.output<Settings>) => UpdateRule,
): OptimizerKind<Settings> {
  return { settings, usualLearningRate, ruleFor: (given) => rule(settings.parse(given)) };
}

/** How much of a running average stays at a step. */
export const decayRate = numberBelow(0, 1);
export const weightDecay = numberFrom(0);
export const epsilon = numberAbove(0);

/** Moment `index` of `inputs`. */
export function moment({ moments }: UpdateInputs, index: number): Value {
  const value = moments[index];
  if (!value) throw new Error(`an optimizer lacks its moment ${index}`);
  return value;
}

/** gradient + weight decay · parameter, where that decays: the decay of all optimizers but AdamW and LAMB. */
export function decayedGradient(
  g: Builder,
  { parameter, gradient, decays }: Pick<UpdateInputs, 'parameter' | 'gradient' | 'decays'>,
  weightDecay: number,
): Value {
  return decays && weightDecay > 0 ? g.add(gradient, g.mul(parameter, g.scalar(weightDecay))) : gradient;
}

/** rate · x + y */
export const decaySum = (g: Builder, rate: number, x: Value, y: Value): Value => g.add(g.mul(x, g.scalar(rate)), y);

/** √Σx², a scalar. */
export const norm = (g: Builder, x: Value): Value => g.sqrt(g.reduceSumSquare(x));

/** a/b where both scalars are above zero, else 1. */
export function ratioOrOne(g: Builder, a: Value, b: Value, ratio = g.div(a, b)): Value {
  const zero = g.scalar(0);
  return g.where(g.and(g.greater(a, zero), g.greater(b, zero)), ratio, g.scalar(1));
}
