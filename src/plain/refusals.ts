import { UserError } from '../errors.js';
import type { NodeProto } from '../onnx/onnx_pb.js';
import type { Draft } from './draft.js';
import { readsOf } from '../onnx/captured.js';
import { isOneOf, nodesBefore, producersOf, shown } from './nodes.js';

/** What ONNX Runtime's optimizer makes of several operators, or for one kind of processor. */
const OPTIMIZED =
  /^(Fused(Conv|Gemm|MatMul|MatMulActivation)|NhwcFusedConv|NhwcConv|NhwcMaxPool|GroupNorm|ConvTransposeWithDynamicPads)$/;
/** Operators of graphs that train. */
const TRAINING =
  /(Gradient|Grad)$|^(SoftmaxCrossEntropyLoss|NegativeLogLikelihoodLoss|Adam|AdamWOptimizer|Momentum|Adagrad|InPlaceAccumulatorV2)$/;
/** Operators that draw random numbers each time they run. */
const RANDOM = ['Bernoulli', 'Multinomial', 'RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike'];

/**
 * Says what a file is that is no pretrained model as an exporter writes it.
 * @throws UserError `ort-optimized`, `training-graph`.
 */
export function refuseOtherFiles({ graph, model, path }: Draft): void {
  const optimized = graph.node.find(
    ({ domain, opType }) =>
      domain === 'com.microsoft.nchwc' || (domain.startsWith('com.microsoft') && OPTIMIZED.test(opType)),
  );
  if (optimized)
    throw new UserError(
      'ort-optimized',
      `${path} is a file that ONNX Runtime has optimized, as ${shown(optimized)} shows, for a kind of machine and not to be trained; take the one that it was made from`,
    );
  const training = graph.node.find(({ opType }) => TRAINING.test(opType));
  if (training || model.trainingInfo.length > 0)
    throw new UserError(
      'training-graph',
      `${path} is a graph that trains${training ? `, as ${shown(training)} shows` : ''}; export the model itself, as it is used for inference`,
    );
}

/** @throws UserError `training-mode` for a model whose result is drawn at random. */
export function refuseRandom({ graph, path }: Draft): void {
  const isRandom = (node: NodeProto) => isOneOf(node, ...RANDOM);
  if (!graph.node.some(isRandom)) return;
  const random = nodesBefore(
    graph,
    graph.output.map(({ name }) => name),
  ).find(isRandom);
  if (random)
    throw new UserError(
      'training-mode',
      `${shown(random)} of ${path} draws random numbers, as stochastic depth and noise do in training; export the model in inference mode (model.eval())`,
    );
}

/** @throws UserError `cyclic-graph` for a node that depends on its own output: whoever follows nodes would go round. */
export function refuseCycles({ graph }: Draft): void {
  const producers = producersOf(graph);
  const sources = new Map<NodeProto, Set<NodeProto>>();
  const readers = new Map<NodeProto, NodeProto[]>();
  for (const node of graph.node) {
    const before = new Set(readsOf(node).flatMap((name) => producers.get(name) ?? []));
    sources.set(node, before);
    for (const source of before) {
      const list = readers.get(source);
      if (list) list.push(node);
      else readers.set(source, [node]);
    }
  }
  const ready = graph.node.filter((node) => sources.get(node)?.size === 0);
  for (const node of ready)
    for (const reader of readers.get(node) ?? []) {
      const left = sources.get(reader);
      left?.delete(node);
      if (left?.size === 0) ready.push(reader);
    }
  const stuck = graph.node.find((node) => (sources.get(node)?.size ?? 0) > 0);
  if (stuck)
    throw new UserError('cyclic-graph', `${shown(stuck)} depends on its own output; the model file is damaged`);
}
