import type { Builder } from '../graph/builder.js';
import type { Graph, Value } from '../graph/graph.js';
import type { Optimizer } from '../optim/optimizer.js';
import { updateRuleOf } from '../optim/optimizer.js';
import { updateAll } from '../optim/update.js';
import { type Manifest, NEXT, STEP_INPUTS } from './manifest.js';

export type TrainedParameter = Manifest['parameters'][number];

export interface UpdateSettings {
  readonly optimizer: Optimizer;
  readonly clipNorm: number;
  readonly averageDecay: number;
}

/**
 * Appends the update of `parameters` to `g`: inputs for the learning rate, the step, moments and averages, outputs for what
 * follows. `values` holds each parameter and its gradient; `step` is the input for the step where `g` has it already.
 */
export function appendUpdate(
  g: Builder,
  parameters: readonly TrainedParameter[],
  values: readonly { readonly parameter: Value; readonly gradient: Value }[],
  { optimizer, clipNorm, averageDecay }: UpdateSettings,
  step = g.input(STEP_INPUTS.step, 'float32', []),
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
  const next = updateAll(g, trained, { rule, learningRate, step, clipNorm, averageDecay });
  trained.forEach(({ parameter, moments, average }, index) => {
    const after = next[index];
    if (!after) throw new Error('unreachable');
    g.output(parameter.name + NEXT, after.parameter);
    moments.forEach((moment, m) => after.moments[m] && g.output(moment.name + NEXT, after.moments[m]));
    if (average && after.average) g.output(average.name + NEXT, after.average);
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
