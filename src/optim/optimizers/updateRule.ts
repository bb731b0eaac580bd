import type { z } from 'zod';
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

/** An optimizer with its settings. */
export interface UpdateRule {
  /** What it keeps for a parameter: arrays of its length, zero at first. */
  readonly moments: readonly string[];
  /** Updates a parameter and its moments in place, in one pass over memory, or two where it needs a norm. */
  readonly update: (kernels: Kernels, inputs: UpdateInputs, schedule: Schedule) => void;
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
export function moment({ moments }: UpdateInputs, index: number): Float32Array {
  const value = moments[index];
  if (!value) throw new Error(`an optimizer lacks its moment ${index}`);
  return value;
}

/** Σ(scale·x)² */
export function sumOfSquares(x: Float32Array, scale = 1): number {
  let sum = 0;
  for (const value of x) sum += value * value;
  return sum * scale * scale;
}

/** `ratio` where both of these numbers are above zero, else 1. */
export const ratioOrOne = (a: number, b: number, ratio: number): number => (a > 0 && b > 0 ? ratio : 1);
