import { create } from '@bufbuild/protobuf';
import { join } from 'node:path';
import { differentiate } from '../autodiff/gradient.js';
import { UserError } from '../errors.js';
import { fileReason, MOST_BYTES, readRegularFileSync, sha256, writeFilesAtomically } from '../files.js';
import { Builder } from '../graph/builder.js';
import { bindDim, consumersOf, type Dim, float, type Graph, int, Node, Value } from '../graph/graph.js';
import type { Cut } from '../graph/cut.js';
import { lower } from '../graph/lower.js';
import { ancestors, descendants } from '../graph/order.js';
import { valuesAsRows } from '../graph/rows.js';
import { modelOfGraph, protoOfNode, protoOfValue } from '../graph/proto.js';
import { encodeModel, type ModelFile } from '../onnx/model.js';
import { type ModelProto, ModelProtoSchema, type ValueInfoProto, ValueInfoProtoSchema } from '../onnx/onnx_pb.js';
import { dtypeCode, elementCount, intTensor, type Tensor, tensorOfBytes } from '../onnx/tensor.js';
import {
  decodeTrainingCheckpoint,
  encodeTrainingCheckpoint,
  isTrainingCheckpoint,
  type TrainingCheckpoint,
} from '../onnx/trainingCheckpoint.js';
import { crossEntropy } from '../optim/loss.js';
import { type Optimizer } from '../optim/optimizer.js';
import { compileParts, type Parts } from './compile.js';
import { type CompileOptions, type FilledOptions, filledOptions } from './compileOptions.js';
import { keptBoundary } from './boundary.js';
import { type Manifest, PIXELS, STEP_INPUTS, STEP_OUTPUTS } from './manifest.js';
import { onDeviceReadme } from './onDeviceReadme.js';

/**
 * What ONNX Runtime's on-device training loads (C, C#, Java, Swift, Python, WebAssembly; 1.19.2 was the last release), in memory.
 * The frozen part is inside of the training graph, since its sessions know no other.
 */
export interface OnDeviceArtifacts {
  readonly manifest: Omit<Manifest, 'files'>;
  readonly training: ModelProto;
  readonly evaluation: ModelProto;
  readonly optimizer: ModelProto;
  readonly checkpoint: TrainingCheckpoint;
}

export const ON_DEVICE_FILES = {
  training: 'training_model.onnx',
  evaluation: 'eval_model.onnx',
  optimizer: 'optimizer_model.onnx',
  checkpoint: 'checkpoint',
  manifest: 'manifest.json',
  readme: 'README.md',
} as const;

/** The last operator set, and its file format, that release 1.19.2 reads. */
const NEWEST_OPSET = 21;
const CONTRIB = 'com.microsoft';

/**
 * Turns a pretrained classifier and a policy into artifacts of ONNX Runtime's on-device training, with the layers trainable that
 * {@link compile} makes so.
 * @throws UserError as {@link compile} does, and `bad-target` for what that runtime has not.
 */
export function compileOnDevice(model: ModelFile, options: CompileOptions): OnDeviceArtifacts {
  const filled = filledOptions(options);
  const { optimizer, batch, decayAll } = filled;
  refuseForeign(filled);
  // Their AdamW has one decay for all that it updates.
  const decays = optimizer.weightDecay > 0;
  const parts = compileParts(model, { ...options, decayAll: decays || decayAll });
  const { compiled, graph } = parts;
  if (graph.opset > NEWEST_OPSET)
    throw new UserError(
      'bad-target',
      `${model.path} uses operator set ${graph.opset}, and onnxruntime-training 1.19.2 reads none after ${NEWEST_OPSET}; export it with ${NEWEST_OPSET} or less`,
    );
  const training = trainingGraph(parts, filled, batch);
  const evaluation = evaluationGraph(parts, filled);
  const namesOf = ({ frozen }: OnDeviceGraph) => frozen.map(({ value }) => value.name).join();
  if (namesOf(evaluation) !== namesOf(training))
    throw new Error('training and evaluation read other frozen parameters');
  const { parameters, notes, cost } = compiled.manifest;
  const { height, width } = compiled.manifest.preprocessing;
  const pixels = height * width * 3;
  return {
    manifest: {
      ...compiled.manifest,
      target: 'onnxruntime-training',
      notes:
        decays && !decayAll
          ? [...notes, "onnxruntime-training's AdamW decays biases and normalization parameters too"]
          : notes,
      boundary: [{ name: PIXELS, dtype: 'uint8', shape: [height, width, 3] }],
      cost: { ...cost, boundaryBytes: pixels },
    },
    training: modelOfGraph(training.graph, 'training'),
    evaluation: modelOfGraph(evaluation.graph, 'evaluation'),
    optimizer: optimizerModel(graph.opset, optimizer, filled.clipNorm),
    checkpoint: {
      trainable: new Map(
        parameters.map(({ name }) => {
          const value = compiled.state.get(name);
          if (!value) throw new Error(`parameter "${name}" has no value`);
          return [name, value];
        }),
      ),
      frozen: new Map(training.frozen.map(({ value, tensor }) => [value.name, tensor])),
    },
  };
}

/** @throws UserError `bad-target` for what on-device training has no place for. */
function refuseForeign({ optimizer, batch, microBatch, ...options }: FilledOptions): void {
  const refuse = (reason: string) => new UserError('bad-target', `onnxruntime-training ${reason}`);
  const isPlainSgd = optimizer.name === 'sgd' && optimizer.momentum === 0 && optimizer.weightDecay === 0;
  if (optimizer.name !== 'adamw' && !isPlainSgd)
    throw refuse(
      `has AdamW, and SGD without momentum or decay, got ${optimizer.name === 'sgd' ? 'SGD with them' : `\`${optimizer.name}\``}; choose ‹optimizer› adamw, or ‹optimizer› sgd ‹momentum› 0 ‹weightDecay› 0`,
    );
  if (options.averageDecay > 0) throw refuse('keeps no averages of parameters; leave out ‹averageDecay›');
  if (options.learningRateMultipliers.length > 0)
    throw refuse('has one learning rate for all layers; leave out ‹learningRateMultipliers›');
  if (microBatch < batch)
    throw refuse('adds up gradients until they are reset, whatever was compiled; leave out ‹accumulate›');
  if (options.batchNorm === 'batch')
    throw refuse('keeps no running averages of BatchNormalizations; leave out ‹batchNorm› batch');
  if (options.dropout > 0)
    throw refuse('does not tell the training graph its step, which ort-tl drops out by; leave out ‹dropout›');
  if (options.boundaryDtype === 'float16')
    throw refuse('runs the frozen part in every step; leave out ‹boundaryDtype›');
}

/** A parameter that does not train: an input of the graphs, as all parameters are, whose value is in the checkpoint. */
interface Frozen {
  readonly value: Value;
  readonly tensor: Tensor;
}

interface OnDeviceGraph {
  readonly graph: Graph;
  readonly frozen: readonly Frozen[];
}

/** From pixels and targets to loss and gradients, which are added to the buffers that the runtime keeps for them. */
function trainingGraph(parts: Parts, options: FilledOptions, batch: number): OnDeviceGraph {
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
function evaluationGraph(parts: Parts, options: FilledOptions): OnDeviceGraph {
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

/** Updates all parameters in place, from sequences that the runtime hands over in an order of its own. */
function optimizerModel(opset: number, optimizer: Optimizer, clipNorm: number): ModelProto {
  const tensorInput = (name: string, dtype: 'float32' | 'int64') => protoOfValue(new Value(name, dtype, [1]), name);
  const node = (op: string, inputs: string[], output: Value, attributes: Node['attributes']) =>
    protoOfNode(
      new Node({
        op,
        domain: CONTRIB,
        name: op,
        inputs: inputs.map((name) => new Value(name)),
        outputs: [output],
        attributes,
      }),
    );
  const updated = new Value('updated', 'bool', optimizer.name === 'adamw' ? [1] : undefined);
  const gradients = clipNorm > 0 ? 'clipped_gradients' : 'gradients';
  const clip =
    clipNorm > 0
      ? [node('InplaceClipGradNorm', ['gradients'], new Value(gradients), new Map([['max_norm', float(clipNorm)]]))]
      : [];
  // SGD is handed moments too, which it does not read.
  const moments = ['first_order_moments', ...(optimizer.name === 'adamw' ? ['second_order_moments'] : [])];
  const update =
    optimizer.name === 'adamw'
      ? node(
          'AdamWOptimizer',
          ['learning_rate', 'step', 'params', gradients, ...moments],
          updated,
          new Map([
            ['alpha', float(optimizer.beta1)],
            ['beta', float(optimizer.beta2)],
            ['epsilon', float(optimizer.epsilon)],
            ['weight_decay', float(optimizer.weightDecay)],
            // The order and the correction are PyTorch's.
            ['adam_mode', int(0)],
            ['correct_bias', int(1)],
          ]),
        )
      : node('SGDOptimizerV2', ['learning_rate', 'params', gradients], updated, new Map());
  return create(ModelProtoSchema, {
    irVersion: 8n,
    producerName: 'ort-tl',
    graph: {
      name: 'optimizer',
      node: [...clip, update],
      input: [
        tensorInput('learning_rate', 'float32'),
        tensorInput('step', 'int64'),
        ...['params', 'gradients', ...moments].map(sequenceInput),
      ],
      output: [protoOfValue(updated, updated.name)],
    },
    opsetImport: [
      { domain: '', version: BigInt(opset) },
      { domain: CONTRIB, version: 1n },
    ],
  });
}

function sequenceInput(name: string): ValueInfoProto {
  const elemType = { tensorType: { elemType: dtypeCode('float32') } };
  return create(ValueInfoProtoSchema, { name, type: { sequenceType: { elemType } } });
}

/**
 * Writes the artifacts into `folder`, all of them or none, with a page that says how they are fed.
 * @throws UserError `write-failed`.
 */
export async function writeOnDeviceArtifacts(compiled: OnDeviceArtifacts, folder: string): Promise<Manifest> {
  const files = ON_DEVICE_FILES;
  const contents = new Map([
    [files.training, encodeModel(compiled.training)],
    [files.evaluation, encodeModel(compiled.evaluation)],
    [files.optimizer, encodeModel(compiled.optimizer)],
    [files.checkpoint, encodeTrainingCheckpoint(compiled.checkpoint)],
  ]);
  const hashes = Object.fromEntries([...contents].map(([name, bytes]) => [name, sha256(bytes)]));
  const manifest = { ...compiled.manifest, files: hashes };
  const texts = [
    { path: join(folder, files.readme), parts: [onDeviceReadme(manifest)] },
    { path: join(folder, files.manifest), parts: [`${JSON.stringify(manifest, null, 2)}\n`] },
  ];
  await writeFilesAtomically([
    ...[...contents].map(([name, bytes]) => ({ path: join(folder, name), parts: [bytes] })),
    ...texts,
  ]);
  return manifest;
}

/**
 * Reads the trained parameters that on-device training has saved, by the names of the manifest that it began with: a checkpoint, or the
 * bytes of what `getContiguousParameters(true)` of onnxruntime-web gives, which saves no checkpoints.
 * @throws UserError `bad-checkpoint` when it is damaged or of other artifacts.
 */
export function readOnDeviceCheckpoint(path: string, manifest: Manifest): Map<string, Tensor> {
  let bytes: Uint8Array;
  try {
    bytes = readRegularFileSync(path, MOST_BYTES.file);
  } catch (thrown) {
    throw new UserError('bad-checkpoint', `cannot read ${path}: ${fileReason(thrown)}; name a checkpoint file`);
  }
  const count = manifest.parameters.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  if (!isTrainingCheckpoint(bytes) && bytes.byteLength === 4 * count) return partsOf(bytes, manifest);
  const { trainable } = decodeTrainingCheckpoint(bytes, path);
  return new Map(
    manifest.parameters.map(({ name, shape }) => {
      const value = trainable.get(name);
      if (value?.dtype !== 'float32' || value.dims.join() !== shape.join())
        throw new UserError(
          'bad-checkpoint',
          `${path} holds no "${name}" of shape [${shape.join(', ')}], so it was trained with other artifacts; choose those that it began with`,
        );
      return [name, value];
    }),
  );
}

/** Parameters one after another, in the training graph's order. */
function partsOf(bytes: Uint8Array, { parameters }: Manifest): Map<string, Tensor> {
  let start = 0;
  return new Map(
    parameters.map(({ name, shape }) => {
      const part = bytes.subarray(start, (start += 4 * elementCount(shape)));
      return [name, tensorOfBytes('float32', shape, part)];
    }),
  );
}
