import { differentiate, noGradientRule } from '../autodiff/gradient.js';
import { Builder } from '../graph/builder.js';
import type { Graph, Node, Shape, Value } from '../graph/graph.js';
import { lower, type Rewrite } from '../graph/lower.js';
import { ancestors, descendants } from '../graph/order.js';
import { modelOfGraph } from '../graph/proto.js';
import { recompute } from '../graph/recompute.js';
import { infersShapeOf } from '../graph/shapes.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import { binaryCrossEntropy } from '../optim/binaryLoss.js';
import { crossEntropy } from '../optim/loss.js';
import { Random } from '../random.js';
import { normalizeByBatch, presenceOf } from './batchStatistics.js';
import { fromKept, type Kept } from './boundary.js';
import type { FilledOptions } from './compileOptions.js';
import { dropout } from './dropoutNodes.js';
import { imageShape, unknownShape } from './imageShape.js';
import { inMixedPrecision, lossScaleInput } from './mixedPrecision.js';
import { NEXT, STEP_INPUTS, STEP_OUTPUTS } from './manifest.js';
import type { Split } from './splitGraph.js';

export interface StepGraph extends Graph {
  readonly loss: Value;
  readonly gradients: readonly Value[];
  /** The loss, what becomes of gradients, and the update: these stay in float32 in mixed precision. */
  readonly exact: ReadonlySet<Node>;
}

/** What another computation takes the place of, in training. */
type Rewrites = Map<Node, Rewrite>;

const shapeOf = (value: Value): Shape => value.shape ?? [];

/**
 * Forward, loss and backward: one run gives the gradients of a batch, or of a part of one.
 * @throws UserError `no-gradient-rule`, `unknown-shape`, `unsupported-model`.
 */
export function trainingGraph(source: Graph, split: Split, options: FilledOptions): StepGraph {
  checkShapes(split);
  const { cut, kept, rows, parameters, averages } = split;
  const batch = options.microBatch;
  const g = new Builder(source.opset, options.blockSize, options.isForGpu);
  const given = boundaryInputs(g, kept, batch);
  const [output] = source.outputs;
  const classes = output?.shape?.[1];
  if (!output || typeof classes !== 'number') throw new Error('the graph gives no row of logits for an image');
  const targets =
    options.targets === 'soft'
      ? g.input(STEP_INPUTS.targets, 'float32', [batch, classes])
      : g.oneHot(g.input(STEP_INPUTS.labels, 'int64', [batch]), classes);
  const shares = g.input(STEP_INPUTS.shares, 'float32', [batch]);
  for (const parameter of parameters) given.set(parameter, g.input(parameter.name, 'float32', shapeOf(parameter)));
  const trainable = parameters.map((parameter) => lookUp(given, parameter));
  for (const value of averages) given.set(value, g.input(value.name, 'float32', shapeOf(value)));

  const rewrites: Rewrites = new Map();
  const moved = normalizingByBatch(g, split, shares, rewrites);
  droppingOut(g, split, options, rewrites);
  const logits = lower(g, cut.trained, given, rewrites, rows)(output);
  const network = new Set(g.graph.nodes);
  const lossOf = options.task === 'labels' ? binaryCrossEntropy : crossEntropy;
  const loss = lossOf(g, logits, targets, shares, options);
  const forward = new Set(g.graph.nodes);
  const lossScale = options.precision === 'mixed' ? lossScaleInput(g) : undefined;
  const scaled = lossScale ? g.mul(loss, lossScale) : loss;
  const gradients = differentiate(g, [...g.graph.nodes], scaled, trainable);
  const exact = new Set([...forward].filter((node) => !network.has(node)));
  const before = g.graph.nodes.length;

  g.output(STEP_OUTPUTS.loss, loss);
  g.output(STEP_OUTPUTS.logits, logits);
  trainable.forEach((parameter, index) => {
    g.output(split.entries[index]?.gradient ?? '', lookUp(gradients, parameter));
  });
  for (const [before, after] of moved) g.output(before.name + NEXT, after);
  for (const node of g.graph.nodes.slice(before)) exact.add(node);
  const needed = options.recompute ? recompute(g, forward, logits) : ancestors(g.graph.nodes, g.graph.outputs);
  const nodes = inLayerOrder(needed, [...gradients.values()]);
  return { ...g.graph, nodes, loss, gradients: [...gradients.values()], exact };
}

/**
 * The training graph as a model. Among values of one shape ONNX Runtime hands memory on from the first to the last, and holds it
 * in between: where activations are not kept, they have to differ, so the batch of what comes in is left open.
 */
export function trainingModel(
  step: StepGraph,
  kept: readonly Kept[],
  { precision, recompute: recomputes }: Pick<FilledOptions, 'precision' | 'recompute'>,
): ModelProto {
  const model = modelOfGraph(precision === 'mixed' ? inMixedPrecision(step, step.exact) : step, 'training');
  const names = new Set(recomputes ? kept.map(({ value }) => value.name) : []);
  for (const { name, type } of model.graph?.input ?? []) {
    const batch = names.has(name) ? type?.tensorType?.shape?.dim[0] : undefined;
    if (batch) batch.value = { case: undefined };
  }
  return model;
}

/** @throws UserError where an operator of the trained part has no gradient rule, or hides the shape of a value. */
function checkShapes({ cut, parameters }: Split): void {
  const alien = descendants(cut.trained, parameters).nodes.find((node) => !infersShapeOf(node));
  if (alien) throw noGradientRule(alien);
  const shapeless = cut.trained.map((node) => node.output()).find(({ shape, isAssumed }) => !shape || isAssumed);
  if (shapeless) throw unknownShape(shapeless);
}

/** Inputs for the boundary of a batch, and what stands for each of the source's values. */
function boundaryInputs(g: Builder, kept: readonly Kept[], batch: number): Map<Value, Value> {
  const given = new Map<Value, Value>();
  for (const each of kept) {
    const { name, dtype = 'float32' } = each.value;
    given.set(each.source, fromKept(g, each, g.input(name, dtype, [batch, ...imageShape(each.value)])));
  }
  return given;
}

/** Has the BatchNormalizations of trained layers take their statistics from the batch. Gives what their averages become. */
function normalizingByBatch(g: Builder, { norms }: Split, shares: Value, rewrites: Rewrites): Map<Value, Value> {
  const moved = new Map<Value, Value>();
  if (norms.length === 0) return moved;
  const presence = presenceOf(g, shares);
  for (const norm of norms) {
    rewrites.set(norm, (node, at) => {
      const [x, scale, shift, mean, variance] = [0, 1, 2, 3, 4].map((index) => at(node.input(index)));
      if (!x || !scale || !shift || !mean || !variance) throw new Error('unreachable');
      const normalized = normalizeByBatch(g, node, { x, scale, shift, mean, variance }, presence);
      moved.set(mean, normalized.mean).set(variance, normalized.variance);
      return normalized.y;
    });
  }
  return moved;
}

/** Has a share of the inputs of some layers left out. An input for the step decides which. */
function droppingOut(
  g: Builder,
  { dropped }: Split,
  { seed, dropout: ratio }: FilledOptions,
  rewrites: Rewrites,
): void {
  if (dropped.length === 0) return;
  const step = g.input(STEP_INPUTS.step, 'float32', []);
  for (const layer of dropped) {
    const random = new Random(seed).fork(`dropout ${layer.name}`);
    rewrites.set(layer, (node, at) => {
      const [x, ...others] = node.inputs.map((input) => input && at(input));
      if (!x) throw new Error('unreachable');
      const inputs = [dropout(g, x, ratio, step, random), ...others];
      return g.op(node.op, inputs, Object.fromEntries(node.attributes), { name: g.uniqueName(node.name) });
    });
  }
}

/**
 * `nodes` with those that give `gradients`, and that no other reads, at the end, in this order: the last layer's last. ONNX Runtime begins with
 * the last node, so that it is done with a layer, and frees what the forward pass left for it, before it goes on to the one before.
 */
function inLayerOrder(nodes: readonly Node[], gradients: readonly Value[]): Node[] {
  const read = new Set(nodes.flatMap((node) => node.inputs));
  const last = gradients.flatMap(({ producer }) =>
    producer?.outputs.every((output) => !read.has(output)) ? producer : [],
  );
  const moved = new Set(last);
  return [...nodes.filter((node) => !moved.has(node)), ...moved];
}

function lookUp(map: ReadonlyMap<Value, Value>, key: Value): Value {
  const value = map.get(key);
  if (!value) throw new Error(`nothing stands for "${key.name}"`);
  return value;
}
