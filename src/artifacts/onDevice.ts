import { UserError } from '../errors.js';
import { modelOfGraph } from '../graph/proto.js';
import type { ModelFile } from '../onnx/model.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import type { TrainingCheckpoint } from '../onnx/trainingCheckpoint.js';
import { type Compiled, compileParts } from './compile.js';
import { type CompileOptions, type FilledOptions, filledOptions } from './compileOptions.js';
import { type Manifest, PIXELS } from './manifest.js';
import { type OnDeviceGraph, onDeviceEvaluationGraph, onDeviceTrainingGraph } from './onDeviceGraphs.js';
import { onDeviceOptimizer } from './onDeviceOptimizer.js';

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

/** The last operator set, and its file format, that release 1.19.2 reads. */
const NEWEST_OPSET = 21;

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
  const training = onDeviceTrainingGraph(parts, filled, batch);
  const evaluation = onDeviceEvaluationGraph(parts, filled);
  const namesOf = ({ frozen }: OnDeviceGraph) => frozen.map(({ value }) => value.name).join();
  if (namesOf(evaluation) !== namesOf(training))
    throw new Error('training and evaluation read other frozen parameters');
  const decaysMore = decays && !decayAll;
  return {
    manifest: onDeviceManifest(compiled.manifest, decaysMore ? [DECAYS_MORE] : []),
    training: modelOfGraph(training.graph, 'training'),
    evaluation: modelOfGraph(evaluation.graph, 'evaluation'),
    optimizer: onDeviceOptimizer(graph.opset, optimizer, filled.clipNorm),
    checkpoint: checkpointOf(compiled, training),
  };
}

const DECAYS_MORE = "onnxruntime-training's AdamW decays biases and normalization parameters too";

/** The frozen part is within the training graph, so that pixels take the place of the values at the boundary. */
function onDeviceManifest(manifest: Compiled['manifest'], notes: readonly string[]): OnDeviceArtifacts['manifest'] {
  const { height, width } = manifest.preprocessing;
  return {
    ...manifest,
    target: 'onnxruntime-training',
    notes: [...manifest.notes, ...notes],
    boundary: [{ name: PIXELS, dtype: 'uint8', shape: [height, width, 3] }],
    cost: { ...manifest.cost, boundaryBytes: height * width * 3 },
  };
}

function checkpointOf({ manifest, state }: Compiled, { frozen }: OnDeviceGraph): TrainingCheckpoint {
  const trainable = manifest.parameters.map(({ name }) => {
    const value = state.get(name);
    if (!value) throw new Error(`parameter "${name}" has no value`);
    return [name, value] as const;
  });
  return {
    trainable: new Map(trainable),
    frozen: new Map(frozen.map(({ value, tensor }) => [value.name, tensor])),
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
  if (options.task === 'labels')
    throw refuse('is given artifacts for one class an image here, not for several labels; leave out ‹task› labels');
  if (options.averageDecay > 0) throw refuse('keeps no averages of parameters; leave out ‹averageDecay›');
  if (options.learningRateMultipliers.length > 0)
    throw refuse('has one learning rate for all layers; leave out ‹learningRateMultipliers›');
  if (microBatch < batch)
    throw refuse('adds up gradients until they are reset, whatever was compiled; leave out ‹accumulate›');
  if (options.batchNorm === 'batch')
    throw refuse('keeps no running averages of BatchNormalizations; leave out ‹batchNorm› batch');
  if (options.dropout > 0)
    throw refuse('does not tell the training graph its step, which ort-tl drops out by; leave out ‹dropout›');
  if (options.precision === 'mixed') throw refuse('keeps no scale of the loss; leave out ‹precision›');
  if (options.boundaryDtype === 'float16')
    throw refuse('runs the frozen part in every step; leave out ‹boundaryDtype›');
}
