import type { Builder } from '../graph/builder.js';
import type { Graph, Value } from '../graph/graph.js';
import type { Optimizer } from '../optim/optimizer.js';
import { updateRuleOf } from '../optim/optimizer.js';
import { updateAll } from '../optim/update.js';
import type { FilledOptions } from './compileOptions.js';
import { appendLossScaling } from './mixedPrecision.js';
import { type Manifest, NEXT, STEP_INPUTS } from './manifest.js';

export type TrainedParameter = Manifest['parameters'][number];

export interface UpdateSettings {
  readonly precision: FilledOptions['precision'];
  readonly optimizer: Optimizer;
  readonly clipNorm: number;
  readonly averageDecay: number;
}

/** Inputs that a graph has already. */
interface GivenInputs {
  readonly step?: Value | undefined;
  readonly lossScale?: Value | undefined;
}

/**
 * Appends the update of `parameters` to `g`: inputs for the learning rate, the step, moments and averages, outputs for what
 * follows. `values` holds each parameter and its gradient.
 */
export function appendUpdate(
  g: Builder,
  parameters: readonly TrainedParameter[],
  values: readonly { readonly parameter: Value; readonly gradient: Value }[],
  { optimizer, clipNorm, averageDecay, precision }: UpdateSettings,
  { step = g.input(STEP_INPUTS.step, 'float32', []), lossScale }: GivenInputs = {},
): void {
  const learningRate = g.input(STEP_INPUTS.learningRate, 'float32', []);
  const trained = values.map(({ parameter, gradient }, index) => {
    const entry = parameters[index];
    if (!entry) throw new Error(`nothing is known of "${parameter.name}"`);
    const { shape, moments, average, learningRateMultiplier, decays } = entry;
    return {
      parameter,
      gradient,
      moments: moments.map((name) => g.input(name, 'float32', shape)),
      average: average === undefined ? undefined : g.input(average, 'float32', shape),
      learningRateMultiplier,
      decays,
    };
  });
  const rule = updateRuleOf(optimizer);
  const gradients = values.map(({ gradient }) => gradient);
  const isFinite = precision === 'mixed' ? appendLossScaling(g, gradients, lossScale) : undefined;
  const unlessOverflowing = (after: Value, before: Value) => (isFinite ? g.where(isFinite, after, before) : after);
  const next = updateAll(g, trained, { rule, learningRate, step, clipNorm, averageDecay });
  trained.forEach(({ parameter, moments, average }, index) => {
    const after = next[index];
    if (!after) throw new Error('unreachable');
    const give = (before: Value, value: Value | undefined) =>
      value && g.output(before.name + NEXT, unlessOverflowing(value, before));
    give(parameter, after.parameter);
    moments.forEach((moment, m) => give(moment, after.moments[m]));
    if (average) give(average, after.average);
  });
}

/** The update alone, on an empty `g`, from gradients that several runs of the training graph added up. */
export function updateGraph(g: Builder, parameters: readonly TrainedParameter[], settings: UpdateSettings): Graph {
  const values = parameters.map(({ name, shape, gradient }) => ({
    parameter: g.input(name, 'float32', shape),
    gradient: g.input(gradient ?? '', 'float32', shape),
  }));
  appendUpdate(g, parameters, values, settings);
  return g.graph;
}
