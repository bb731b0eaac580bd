import { clone, create } from '@bufbuild/protobuf';
import { Builder } from '../graph/builder.js';
import type { Graph, Value } from '../graph/graph.js';
import { modelOfGraph } from '../graph/proto.js';
import { renameReads } from '../onnx/captured.js';
import { opsetOf } from '../onnx/model.js';
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
} from '../onnx/onnx_pb.js';
import { areFiniteNodes, lossScalingNodes } from '../optim/lossScaling.js';
import { updateRuleOf } from '../optim/optimizer.js';
import { updateNodes, updateNumbers } from '../optim/updateNodes.js';
import { LOSS_SCALING, type Manifest, NEXT } from './manifest.js';

/** Inputs that the update adds to a training graph. */
export const UPDATE_INPUTS = {
  /** {@link numbersOfStep}, float32 [numbers]. */
  numbers: 'ort_tl/numbers',
  /** float32 [2]: above 0 for the first part of a batch, and for the last one. There where a batch is taken in parts. */
  part: 'ort_tl/part',
} as const;
/** The sum of a parameter's gradients over the parts of a batch. */
const sumName = ({ gradient = '' }: Manifest['parameters'][number]) => `${gradient}/sum`;

const takesParts = ({ batch, microBatch = batch }: Manifest) => microBatch < batch;

/** The sums that go from a part of a batch to the next one, with their shapes. */
export const sumsOf = (manifest: Manifest): ReadonlyMap<string, readonly number[]> =>
  new Map(takesParts(manifest) ? manifest.parameters.map((each) => [sumName(each), each.shape]) : []);

/** What the update takes of a step beside gradients and state. */
export function numbersOfStep(
  { parameters, optimizer, averageDecay }: Manifest,
  schedule: { readonly learningRate: number; readonly step: number },
): number[] {
  return updateNumbers(parameters, { rule: updateRuleOf(optimizer), averageDecay }, schedule);
}

/**
 * A training graph that also updates: all that lasts goes in and comes out, so that it can stay on a GPU. Where a batch is taken in parts, a
 * run takes one of them, adds its gradients to those before, and updates by the sum with the last.
 */
export function stepModel(training: ModelProto, manifest: Manifest): ModelProto {
  const update = modelOfGraph(updateGraph(opsetOf(training), manifest), 'update').graph;
  if (!training.graph || !update) throw new Error('a model has no graph');
  const graph = joinedGraph(training.graph, update);
  const { irVersion, producerName, opsetImport } = training;
  return create(ModelProtoSchema, { irVersion, producerName, opsetImport, graph });
}

/** The update alone, from gradients by their names to what follows each state. */
function updateGraph(opset: number, manifest: Manifest): Graph {
  const { parameters, optimizer, clipNorm, precision } = manifest;
  const g = new Builder(opset);
  const count = numbersOfStep(manifest, { learningRate: 1, step: 1 }).length;
  const numbers = g.input(UPDATE_INPUTS.numbers, 'float32', [count]);
  const part = takesParts(manifest) ? g.input(UPDATE_INPUTS.part, 'float32', [2]) : undefined;
  const flag = (place: number) =>
    part && g.greater(g.squeeze(g.slice(part, [place], [place + 1], [0]), [0]), g.scalar(0));
  const [isFirst, isLast] = [flag(0), flag(1)];
  const scaling =
    precision === 'mixed'
      ? { scale: g.input(LOSS_SCALING.scale, 'float32', []), steps: g.input(LOSS_SCALING.steps, 'float32', []) }
      : undefined;
  const trained = parameters.map((each) => {
    const { name, shape, moments, average, gradient = '' } = each;
    const input = (of: string) => g.input(of, 'float32', shape);
    const own = input(gradient);
    return {
      ...each,
      parameter: input(name),
      gradient: isFirst ? g.where(isFirst, own, g.add(own, input(sumName(each)))) : own,
      moments: moments.map(input),
      average: average === undefined ? undefined : input(average),
    };
  });
  const gradients = trained.map(({ gradient }) => gradient);
  const isFinite = scaling && areFiniteNodes(g, gradients);
  const applies = isLast && isFinite ? g.and(isLast, isFinite) : (isLast ?? isFinite);
  const scale = scaling && g.div(g.scalar(1), scaling.scale);
  const next = updateNodes(g, trained, { rule: updateRuleOf(optimizer), numbers, scale, clipNorm });
  const give = (before: Value, after: Value | undefined, unless?: Value) => {
    if (after) g.output(before.name + NEXT, unless ? g.where(unless, after, before) : after);
  };
  trained.forEach(({ parameter, moments, average }, index) => {
    give(parameter, next[index]?.parameter, applies);
    moments.forEach((moment, m) => {
      give(moment, next[index]?.moments[m], applies);
    });
    if (average) give(average, next[index]?.average, applies);
  });
  if (scaling && isFinite) {
    const after = lossScalingNodes(g, scaling, isFinite);
    give(scaling.scale, after.scale, isLast);
    give(scaling.steps, after.steps, isLast);
  }
  if (isFirst) parameters.forEach((each, index) => g.output(sumName(each) + NEXT, gradients[index] ?? numbers));
  return g.graph;
}

/** `first` and then `second`, which takes inputs of the first and outputs that nobody else takes; the values within it get names of their own. */
function joinedGraph(first: GraphProto, second: GraphProto): GraphProto {
  const given = new Set(first.output.map(({ name }) => name));
  const inputs = new Set(first.input.map(({ name }) => name));
  const taken = new Set(second.input.map(({ name }) => name));
  const kept = new Set([...taken, ...second.output.map(({ name }) => name)]);
  const rename = (name: string) => (name === '' || kept.has(name) ? name : `ort_tl/update/${name}`);
  const nodes = second.node.map((node): NodeProto => {
    const copy = clone(NodeProtoSchema, node);
    renameReads(copy, rename);
    copy.name = `ort_tl/update/${copy.name}`;
    copy.output = copy.output.map(rename);
    return copy;
  });
  return create(GraphProtoSchema, {
    name: 'step',
    input: [...first.input, ...second.input.filter(({ name }) => !given.has(name) && !inputs.has(name))],
    output: [...first.output.filter(({ name }) => !taken.has(name)), ...second.output],
    initializer: [...first.initializer, ...second.initializer.map((each) => ({ ...each, name: rename(each.name) }))],
    node: [...first.node, ...nodes],
  });
}
