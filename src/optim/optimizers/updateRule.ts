import type { z } from 'zod';
import type { Builder } from '../../graph/builder.js';
import type { Value } from '../../graph/graph.js';
import type { Kernels } from '../kernels/kernels.js';
import { numberAbove, numberBelow, numberFrom } from '../../settings.js';

/** What goes for a parameter at a step. */
export interface Schedule {
  /** The multiplier of the parameter included. */
  readonly learningRate: number;
  /** 1 at the first step. */
  readonly step: number;
}

/** One parameter at one step. All of its arrays have the same length, and lie in the memory of the kernels. */
export interface UpdateInputs {
  readonly parameter: Float32Array;
  /** Times `scale` it is the gradient. */
  readonly gradient: Float32Array;
  readonly scale: number;
  /** In the order of {@link UpdateRule.moments}. */
  readonly moments: readonly Float32Array[];
  /** Whether weight decay, and the trust ratio of LAMB and LARS, take hold of this parameter. */
  readonly decays: boolean;
}

/** One parameter at one step within a graph: values of its shape. */
export interface NodeInputs {
  readonly parameter: Value;
  readonly gradient: Value;
  /** In the order of {@link UpdateRule.moments}. */
  readonly moments: readonly Value[];
  readonly decays: boolean;
  /** The {@link UpdateRule.numbers} of the step, float32 scalars in their order. */
  readonly numbers: readonly Value[];
}

export interface NodeResults {
  readonly parameter: Value;
  readonly moments: readonly Value[];
}

/** An optimizer with its settings. */
export interface UpdateRule {
  /** What it keeps for a parameter: arrays of its length, zero at first. */
  readonly moments: readonly string[];
  /** Updates a parameter and its moments in place, in one pass over memory, or two where it needs a norm. */
  readonly update: (kernels: Kernels, inputs: UpdateInputs, schedule: Schedule) => void;
  /** What `nodes` take of a step, the same for all parameters of one learning rate. */
  readonly numbers: (schedule: Schedule) => readonly number[];
  /** Appends the same update to a graph, for where the state stays on a GPU. */
  readonly nodes: (g: Builder, inputs: NodeInputs) => NodeResults;
}

/** What an optimizer is: all that the rest of the program knows of it. */
export interface OptimizerKind<Settings extends z.ZodType> {
  readonly settings: Settings;
  /** A peak learning rate for some ten epochs on a few layers. */
  readonly usualLearningRate: number;
  /** How it updates. @throws ZodError for settings of another optimizer. */
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
export function moment<Moment>({ moments }: { readonly moments: readonly Moment[] }, index: number): Moment {
  const value = moments[index];
  if (!value) throw new Error(`an optimizer lacks its moment ${index}`);
  return value;
}

/** Number `index` of `inputs`. */
export function numberOf({ numbers }: NodeInputs, index: number): Value {
  const value = numbers[index];
  if (!value) throw new Error(`an optimizer lacks its number ${index}`);
  return value;
}

/** factor·x + y, which is y where the factor is 0 */
export const scaledSum = (g: Builder, factor: number, x: Value, y: Value): Value =>
  factor === 0 ? y : g.add(g.mul(x, g.scalar(factor)), y);

/** √Σx², a scalar */
export const norm = (g: Builder, x: Value): Value => g.sqrt(g.reduceSumSquare(x));

/** `ratio` where both of these scalars are above zero, else 1. */
export function ratioOrOneNodes(g: Builder, a: Value, b: Value, ratio: Value): Value {
  const zero = g.scalar(0);
  return g.where(g.and(g.greater(a, zero), g.greater(b, zero)), ratio, g.scalar(1));
}

/** Σ(scale·x)² */
export function sumOfSquares(x: Float32Array, scale = 1): number {
  let sum = 0;
  for (const value of x) sum += value * value;
  return sum * scale * scale;
}

/** `ratio` where both of these numbers are above zero, else 1. */
export const ratioOrOne = (a: number, b: number, ratio: number): number => (a > 0 && b > 0 ? ratio : 1);
