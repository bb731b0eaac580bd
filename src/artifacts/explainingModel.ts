import { differentiate } from '../autodiff/gradient.js';
import { UserError } from '../errors.js';
import { Builder } from '../graph/builder.js';
import { bindShape, type Node, type Shape, type Value } from '../graph/graph.js';
import { lower } from '../graph/lower.js';
import { ancestors } from '../graph/order.js';
import { modelOfGraph } from '../graph/proto.js';
import type { ModelFile } from '../onnx/model.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import { EXPLAIN } from '../plain/ownNames.js';
import { PIXELS, type Preprocessing } from './manifest.js';
import { classifierOf } from './prepare.js';
import { prependPreprocessing } from './prependPreprocessing.js';

/**
 * A model that tells where a classifier looked, by Grad-CAM (Selvaraju et al. 2017): from `pixels` uint8 [1, H, W, 3] and
 * `chosen` float32 [1, classes], one for the class in question and zeros, to `logits` [1, classes] and `heat` [1, 1, h, w],
 * not negative, at the resolution of the last convolution.
 * @throws UserError `no-gradient-rule` when an operator behind that convolution has none.
 */
export function explainingModel(model: ModelFile, preprocessing: Preprocessing): ModelProto {
  const size = preprocessing.height === preprocessing.width ? preprocessing.height : undefined;
  const classifier = classifierOf(model, { size });
  prependPreprocessing(classifier, preprocessing);
  const { graph, layers, logits } = classifier;
  const conv = layers.convs.findLast(({ node }) => node.op === 'Conv');
  if (!conv)
    throw new UserError('no-conv', 'the model has no convolution, so there is no map that would show where it looked');
  const map = mapBehind(conv.output, graph.nodes);
  const nodes = ancestors(graph.nodes, [logits]);
  const toMap = ancestors(nodes, [map]);
  const behind = nodes.filter((node) => !toMap.includes(node));

  const g = new Builder(graph.opset);
  const one = (shape: Shape | undefined) => bindShape(shape ?? [], 1);
  const [pixels] = graph.inputs;
  if (!pixels) throw new Error('unreachable');
  const upTo = lower(g, toMap, new Map([[pixels, g.input(PIXELS, 'uint8', one(pixels.shape))]]));
  const features = upTo(map);
  const classes = one(logits.shape)[1] ?? 0;
  const chosen = g.input(EXPLAIN.chosen, 'float32', [1, classes]);
  const before = g.graph.nodes.length;
  const given = new Map<Value, Value>([[map, features]]);
  for (const value of boundaryOf(behind, toMap)) given.set(value, upTo(value));
  const result = lower(g, behind, given)(logits);
  const score = g.reduceSum(g.mul(result, chosen), undefined, false);
  const slope = differentiate(g, g.graph.nodes.slice(before), score, [features]).get(features);
  if (!slope) throw new Error('unreachable');
  // A channel counts by how much more of it, anywhere, would raise the class.
  const heat = g.relu(g.reduceSum(g.mul(features, g.reduceMean(slope, [2, 3])), [1]));
  g.output(EXPLAIN.logits, result);
  g.output(EXPLAIN.heat, heat);
  return modelOfGraph(g.graph, 'explain');
}

/** What nodes of `behind` read from nodes before them. */
function boundaryOf(behind: readonly Node[], before: readonly Node[]): Value[] {
  const producers = new Set(before);
  return [
    ...new Set(
      behind.flatMap((node) =>
        node.inputs.filter((input): input is Value => !!input?.producer && producers.has(input.producer)),
      ),
    ),
  ];
}

/** The map that the last convolution ends in: behind its normalization and activation, while its size stays. */
function mapBehind(output: Value, nodes: readonly Node[]): Value {
  const shape = output.shape?.map((dim) => JSON.stringify(dim)).join();
  let map = output;
  const reached = new Set<Value>([output]);
  for (const node of nodes) {
    if (!node.inputs.some((input) => input && reached.has(input))) continue;
    const [result] = node.outputs;
    if (!result || result.shape?.map((dim) => JSON.stringify(dim)).join() !== shape) continue;
    reached.add(result);
    map = result;
  }
  if (map.shape?.length !== 4)
    throw new UserError(
      'unsupported-model',
      'the last convolution does not give a map [N, C, H, W], so there is no place to show',
    );
  return map;
}
