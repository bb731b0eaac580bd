import { differentiate } from '../autodiff/gradient.js';
import { Builder } from '../graph/builder.js';
import type { Cut } from '../graph/cut.js';
import { bindDim, consumersOf, type Dim, type Graph, Node, Value } from '../graph/graph.js';
import { lower } from '../graph/lower.js';
import { ancestors, descendants } from '../graph/order.js';
import { valuesAsRows } from '../graph/rows.js';
import { dtypeCode, intTensor, type Tensor } from '../onnx/tensor.js';
import { crossEntropy } from '../optim/loss.js';
import { keptBoundary } from './boundary.js';
import type { Parts } from './compile.js';
import type { FilledOptions } from './compileOptions.js';
import { PIXELS, STEP_INPUTS, STEP_OUTPUTS } from './manifest.js';
import { CONTRIB } from './onDeviceOptimizer.js';

/** A parameter that does not train: an input of the graphs, as all parameters are, whose value is in the checkpoint. */
interface Frozen {
  readonly value: Value;
  readonly tensor: Tensor;
}

/** A graph, and the parameters in it that do not train. */
export interface OnDeviceGraph {
  readonly graph: Graph;
  readonly frozen: readonly Frozen[];
}

/** From pixels and targets to loss and gradients, which are added to the buffers that the runtime keeps for them. */
export function onDeviceTrainingGraph(parts: Parts, options: FilledOptions, batch: number): OnDeviceGraph {
  const { g, loss, logits, parameters } = forward(parts, options, batch);
  const frozen = frozenParameters(g.graph.nodes);
  const gradients = differentiate(g, [...g.graph.nodes], loss, parameters);
  g.output(STEP_OUTPUTS.loss, loss);
  g.output(STEP_OUTPUTS.logits, logits);
  const buffers = parameters.map(
    ({ name, shape = [] }) => new Value(`${name}_grad.accumulation.buffer`, 'float32', shape),
  );
  const reset = new Value('lazy_reset_grad', 'bool', [1]);
  const accumulators = parameters.map((parameter, index) => {
    const gradient = gradients.get(parameter);
    const done = new Value(`${parameter.name}_grad.accumulation.out`, 'bool', [1]);
    const inputs = [buffers[index], gradient, reset];
    return new Node({
      op: 'InPlaceAccumulatorV2',
      domain: CONTRIB,
      name: `${parameter.name}/accumulate`,
      inputs,
      outputs: [done],
    });
  });
  const outputs = [...g.graph.outputs, ...accumulators.map((node) => node.output())];
  const nodes = ancestors([...g.graph.nodes, ...accumulators], outputs);
  const inputs = [...g.graph.inputs, ...frozen.map(toInput), ...buffers, reset];
  return { graph: { ...g.graph, inputs, outputs, nodes }, frozen };
}

/** From pixels and targets to loss and logits, for any batch. Parameters come in the training graph's order, as they must. */
export function onDeviceEvaluationGraph(parts: Parts, options: FilledOptions): OnDeviceGraph {
  const { g, loss, logits } = forward(parts, options, { batch: 1 });
  const frozen = frozenParameters(g.graph.nodes);
  g.output(STEP_OUTPUTS.loss, loss);
  g.output(STEP_OUTPUTS.logits, logits);
  return { graph: { ...g.graph, inputs: [...g.graph.inputs, ...frozen.map(toInput)] }, frozen };
}

interface Forward {
  readonly g: Builder;
  readonly loss: Value;
  readonly logits: Value;
  readonly parameters: readonly Value[];
}

/**
 * Parts a graph at the first nodes that depend on `parameters`. Where both parts are in one graph, nothing is won by computing
 * a value twice, as {@link cutGraph} may have it.
 */
function partAt({ nodes }: Graph, parameters: readonly Value[]): Cut {
  const consumers = consumersOf(nodes);
  const depending = new Set(descendants(nodes, parameters).nodes);
  for (const node of [...depending]) {
    // A convolution and the normalization that alone reads it become one operator.
    const map = node.op === 'BatchNormalization' ? node.inputs[0] : undefined;
    if (map?.producer?.op === 'Conv' && consumers.get(map)?.length === 1) depending.add(map.producer);
  }
  const trained = nodes.filter((node) => depending.has(node));
  const made = new Set(trained.flatMap(({ outputs }) => outputs));
  const read = trained.flatMap(({ inputs }) => inputs.filter((input) => input !== undefined));
  const boundary = [...new Set(read)].filter((value) => !value.constant && !made.has(value));
  const others = nodes.filter((node) => !depending.has(node));
  return { boundary, trained, frozen: ancestors(others, boundary) };
}

/** The whole network on `batch` images, its frozen part with BatchNormalizations folded into its weights, and the loss. */
function forward({ compiled, graph, parameters }: Parts, options: FilledOptions, batch: Dim): Forward {
  const cut = partAt(graph, parameters);
  const rows = valuesAsRows(cut.trained, cut.boundary, graph.outputs, new Set());
  const kept = keptBoundary(cut, rows, 'float32');
  const { preprocessing, classes } = compiled.manifest;
  const g = new Builder(graph.opset);
  const pixels = g.input(PIXELS, 'uint8', [batch, preprocessing.height, preprocessing.width, 3]);
  const { targets, shares } = targetsOf(g, options, classes.length, batch);
  const inputs = parameters.map((parameter) => g.input(parameter.name, 'float32', parameter.shape ?? []));

  const [image] = graph.inputs;
  if (!image) throw new Error('the graph has no input');
  const crossing = kept.flatMap(({ source, nodes }) =>
    // A reader that keeps what crosses from becoming a part of a larger operator.
    nodes.length > 0
      ? nodes
      : [new Node({ op: 'Identity', name: `${source.name}/crossing`, inputs: [source], outputs: [new Value('')] })],
  );
  const frozenAt = lower(g, [...cut.frozen, ...crossing], new Map([[image, pixels]]));
  const given = new Map<Value, Value>(parameters.map((parameter, index) => [parameter, inputs[index] ?? parameter]));
  for (const { source, value } of kept) {
    const crossed = frozenAt(value);
    // Behind an operator that ort-tl does not know, the model file says the shape.
    crossed.dtype ??= value.dtype;
    crossed.shape ??= value.shape?.map((dim) => (typeof batch === 'number' ? bindDim(dim, batch) : dim));
    given.set(source, crossed);
  }
  const at = lower(g, cut.trained, given, new Map(), rows);
  const [output] = graph.outputs;
  if (!output) throw new Error('the graph has no output');
  const logits = at(output);
  return { g, logits, loss: crossEntropy(g, logits, targets, shares, options), parameters: inputs };
}

/**
 * Targets as rows [N, classes], and each image's part in the mean loss, as the trainer counts it: images with a label below 0, or
 * with a row of zeros for a target, fill up a batch and count for nothing.
 */
function targetsOf(
  g: Builder,
  { targets: kind, classWeights }: FilledOptions,
  classes: number,
  batch: Dim,
): { targets: Value; shares: Value } {
  const asFloat = (value: Value) => g.cast(value, dtypeCode('float32'));
  const sharesOf = (present: Value, weights: Value) => {
    const total = g.reduceSum(weights, undefined, false);
    return g.div(present, g.where(g.greater(total, g.scalar(0)), total, g.scalar(1)));
  };
  if (kind === 'soft') {
    const targets = g.input(STEP_INPUTS.targets, 'float32', [batch, classes]);
    const present = asFloat(g.greater(g.reduceSum(targets, [1], false), g.scalar(0)));
    return { targets, shares: sharesOf(present, present) };
  }
  const labels = g.input(STEP_INPUTS.labels, 'int64', [batch]);
  const targets = g.oneHot(labels, classes);
  const present = asFloat(g.greater(labels, g.constant('no_label', intTensor([], [-1]))));
  if (!classWeights) return { targets, shares: sharesOf(present, present) };
  const weights = g.reduceSum(g.mul(targets, g.row('weights_of_classes', classWeights)), [1], false);
  return { targets, shares: sharesOf(present, g.mul(present, weights)) };
}

/** Inputs of an operator that hold weights. */
const WEIGHTS: Readonly<Record<string, readonly number[]>> = {
  BatchNormalization: [1, 2, 3, 4],
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Gemm: [1, 2],
  MatMul: [0, 1],
};

/** The weights among the constants that `nodes` read, in their order. Other constants stay in the graph, as in the vendor's own. */
function frozenParameters(nodes: readonly Node[]): Frozen[] {
  const found = new Map<Value, Frozen>();
  for (const { op, domain, inputs } of nodes) {
    if (domain !== '') continue;
    for (const index of WEIGHTS[op] ?? []) {
      const value = inputs[index];
      if (value?.constant?.dtype === 'float32') found.set(value, { value, tensor: value.constant });
    }
  }
  return [...found.values()];
}

function toInput({ value }: Frozen): Value {
  value.constant = undefined;
  return value;
}
