import { type Cut, cutGraph } from '../graph/cut.js';
import { bindShape, type Node, type Value } from '../graph/graph.js';
import { type Rows, valuesAsRows } from '../graph/rows.js';
import { updateRuleOf } from '../optim/optimizer.js';
import type { LayerChoice } from '../policy/layerChoice.js';
import { normsOf, type Statistic, statisticsOf } from './batchStatistics.js';
import { type Kept, keptBoundary } from './boundary.js';
import { type Chosen, layersOf } from './chosen.js';
import type { FilledOptions } from './compileOptions.js';
import type { TrainedParameter } from './manifest.js';

/** How a policy parts the graph: what trains, where the cut is, and how what crosses it is laid out. */
export interface Split {
  readonly cut: Cut;
  readonly kept: readonly Kept[];
  readonly rows: Rows;
  readonly parameters: readonly Value[];
  /** What the manifest says of each of the parameters. */
  readonly entries: readonly TrainedParameter[];
  /** BatchNormalizations that take their statistics from the batch, with their running averages. */
  readonly norms: readonly Node[];
  readonly statistics: readonly Statistic[];
  readonly averages: readonly Value[];
  /** Layers of whose inputs a step leaves out a share. */
  readonly dropped: readonly Node[];
}

/** Parts the graph before the layers of `choice` and the fresh ones. */
export function splitGraph(chosen: Chosen, choice: LayerChoice, options: FilledOptions): Split {
  const { classifier, fresh } = chosen;
  const { graph } = classifier;
  const layers = layersOf(choice, chosen);
  const norms = options.batchNorm === 'batch' ? normsOf(layers) : [];
  const statistics = statisticsOf(norms);
  const parameters = [...new Set(layers.flatMap((layer) => layer.parameters))];
  const cut = cutGraph(graph, new Set(parameters));
  const dropped =
    options.dropout > 0
      ? layers.slice(-classifier.layers.heads.length - fresh.layers.length).map(({ node }) => node)
      : [];
  const rows = valuesAsRows(cut.trained, cut.boundary, graph.outputs, new Set([...norms, ...dropped]));
  return {
    cut,
    kept: keptBoundary(cut, rows, options.boundaryDtype),
    rows,
    parameters,
    entries: parameters.map((value) => entryOf(value, chosen.multipliers, options)),
    norms,
    statistics,
    averages: statistics.map(({ value }) => value),
    dropped,
  };
}

function entryOf(
  value: Value,
  multipliers: ReadonlyMap<string, number>,
  { optimizer, averageDecay, decayAll }: FilledOptions,
): TrainedParameter {
  const { name } = value;
  return {
    name,
    shape: bindShape(value.shape ?? [], 1),
    moments: updateRuleOf(optimizer).moments.map((moment) => `${name}/${moment}`),
    ...(averageDecay > 0 ? { average: `${name}/average` } : {}),
    gradient: `${name}/gradient`,
    learningRateMultiplier: multipliers.get(name) ?? 1,
    decays: decayAll || isWeight(value),
  };
}

/** Weights have several axes; biases, and normalization's scales and shifts, stretch along one at most. */
const isWeight = ({ shape }: Value) => bindShape(shape ?? [], 1).filter((dim) => dim > 1).length > 1;
