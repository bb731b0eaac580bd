import { basename } from 'node:path';
import { multiplyAdds, peakActivationBytes } from '../graph/cost.js';
import { bytesOf } from '../graph/cut.js';
import { bindShape, type Graph, type Node, type Value } from '../graph/graph.js';
import { ancestors } from '../graph/order.js';
import type { ModelFile } from '../onnx/model.js';
import { outputOf } from '../plain/oneResult.js';
import { elementCount, type Tensor, toNumbers } from '../onnx/tensor.js';
import { type Policy, showPolicy } from '../policy/policy.js';
import { packageVersion } from '../version.js';
import type { Chosen } from './chosen.js';
import type { FilledOptions } from './compileOptions.js';
import { imageShape } from './imageShape.js';
import type { Manifest } from './manifest.js';
import type { Split } from './splitGraph.js';
import type { StepGraph } from './trainingGraph.js';

/** What is to be told of artifacts. */
export interface Described {
  readonly model: ModelFile;
  readonly policy: Policy;
  readonly options: FilledOptions;
  readonly chosen: Chosen;
  readonly split: Split;
  readonly step: StepGraph;
  readonly evaluation: Graph;
  readonly state: ReadonlyMap<string, Tensor>;
}

/** The manifest of artifacts, but for the digests of their files. @throws UserError `unknown-shape`, `unsupported-model`. */
export function describeArtifacts(described: Described): Omit<Manifest, 'files'> {
  const { model, policy, options, chosen, split } = described;
  const { batch, microBatch, sessions, classWeights, blockSize } = options;
  const { classifier, choice, fresh, layers, preprocessing, resized } = chosen;
  const { parameters, statistics, entries } = split;
  const output = outputOf(model.proto, options);
  return {
    format: 2,
    target: 'ort-tl',
    version: packageVersion,
    source: {
      file: basename(model.path),
      sha256: model.sha256,
      opset: Number(model.proto.opsetImport[0]?.version ?? 0),
      ...(output === undefined ? {} : { output }),
    },
    policy: showPolicy(policy),
    notes: [...chosen.told.notes, ...choice.notes, ...chosen.warmStart.notes],
    warnings: [...chosen.told.warnings, ...warningsOf(described)],
    task: options.task,
    classes: [...options.classes],
    hidden: fresh.hidden,
    heads: classifier.layers.heads.map(({ node }) => node.name),
    ...(classifier.freshHead ? { freshHead: classifier.freshHead } : {}),
    dropout: options.dropout,
    preprocessing,
    batch,
    ...(microBatch < batch ? { microBatch } : {}),
    ...(sessions > 1 ? { sessions } : {}),
    ...(options.recompute ? { recomputes: true } : {}),
    targets: options.targets,
    labelSmoothing: options.labelSmoothing,
    ...(classWeights ? { classWeights: [...classWeights] } : {}),
    focalGamma: options.focalGamma,
    ...(options.task === 'labels' ? { binaryLoss: binaryLossOf(options) } : {}),
    optimizer: options.optimizer,
    clipNorm: options.clipNorm,
    averageDecay: options.averageDecay,
    precision: options.precision,
    opset: classifier.graph.opset,
    ...(blockSize ? { blockSize } : {}),
    layers: [...layers],
    parameters: [...entries],
    statistics: statistics.map(({ value, node, input }) => ({
      name: value.name,
      shape: bindShape(value.shape ?? [], 1),
      node: node.name,
      input,
    })),
    separated: classifier.separated
      .filter(({ value }) => parameters.includes(value))
      .map(({ value, node, input }) => ({ name: value.name, node: node.name, input })),
    adapters: [...chosen.adapters.values()].map(({ entry }) => entry),
    reshapes: [...resized.reshapes],
    constants: constantsOf(described),
    boundary: boundaryOf(split),
    cost: costOf(described),
  };
}

/** What does not train of what has a row for each class. */
function constantsOf({ chosen, split }: Described): Manifest['constants'] {
  return chosen.resized.constants.flatMap(({ value, node, input }) => {
    if (split.averages.includes(value) || !value.constant) return [];
    const { dims } = value.constant;
    return [{ name: value.name, shape: [...dims], values: toNumbers(value.constant), node: node.name, input }];
  });
}

function warningsOf({ chosen, options, split }: Described): string[] {
  const warnings = [...chosen.choice.warnings];
  if (options.batchNorm === 'batch' && split.statistics.length === 0)
    warnings.push('no trained layer has a BatchNormalization, so statistics of the batch change nothing');
  return warnings;
}

function boundaryOf({ kept }: Split): Manifest['boundary'] {
  return kept.map(({ value }) => {
    if (value.dtype !== 'float32' && value.dtype !== 'float16' && value.dtype !== 'uint8')
      throw new Error(`the boundary "${value.name}" is ${value.dtype ?? 'untyped'}`);
    return { name: value.name, dtype: value.dtype, shape: imageShape(value) };
  });
}

function costOf({ chosen, options, split, step, evaluation, state }: Described): Manifest['cost'] {
  const { cut, kept, parameters } = split;
  const { batch, microBatch, sessions } = options;
  const layers = [...chosen.classifier.layers.all, ...chosen.fresh.layers];
  const boundaryBytes = kept.reduce((total, { value }) => total + bytesOf(value), 0);
  const stateBytes = [...state.values()].reduce((total, { data }) => total + data.byteLength, 0);
  // With a copy that ONNX Runtime's binding gives of every result, and sums over the parts of a batch; several sessions copy parameters too.
  const copies = sessions > 1 ? 4 : microBatch < batch ? 3 : 2;
  const gradientBytes = 4 * sizeOf(parameters) * copies * sessions;
  const forward = multiplyAddsOf(cut.trained);
  const forwardAndBackward = multiplyAddsOf(ancestors(step.nodes, [step.loss, ...step.gradients])) / microBatch;
  return {
    parameters: sizeOf(new Set([...layers.flatMap((layer) => layer.parameters), ...parameters])),
    trainableParameters: sizeOf(parameters),
    boundaryBytes,
    frozenMultiplyAdds: multiplyAddsOf(cut.frozen),
    forwardMultiplyAdds: forward,
    backwardMultiplyAdds: Math.max(0, Math.round(forwardAndBackward) - forward),
    trainingMemoryBytes:
      stateBytes + gradientBytes + sessions * (peakActivationBytes(step) + microBatch * boundaryBytes),
    evaluationBytes: peakActivationBytes(evaluation),
  };
}

const multiplyAddsOf = (nodes: readonly Node[]) => nodes.reduce((total, node) => total + multiplyAdds(node), 0);

const sizeOf = (values: Iterable<Value>) =>
  [...values].reduce((total, value) => total + elementCount(bindShape(value.shape ?? [], 1)), 0);

const binaryLossOf = ({ loss, gammaNegative, gammaPositive, probabilityShift }: FilledOptions) => ({
  loss,
  gammaNegative,
  gammaPositive,
  probabilityShift,
});
