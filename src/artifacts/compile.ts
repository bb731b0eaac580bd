import { basename, join } from 'node:path';
import { differentiate, noGradientRule } from '../autodiff/gradient.js';
import { UserError } from '../errors.js';
import { sha256, writeFilesAtomically } from '../files.js';
import { Builder } from '../graph/builder.js';
import { multiplyAdds, peakActivationBytes } from '../graph/cost.js';
import { bytesOf, type Cut, cutGraph } from '../graph/cut.js';
import { bindShape, describe, type Graph, type Node, type Shape, type Value } from '../graph/graph.js';
import { lower, type Rewrite } from '../graph/lower.js';
import { type Rows, valuesAsRows } from '../graph/rows.js';
import { ancestors, descendants } from '../graph/order.js';
import { modelOfGraph } from '../graph/proto.js';
import { recompute } from '../graph/recompute.js';
import { infersShapeOf } from '../graph/shapes.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import { encodeModel, type ModelFile } from '../onnx/model.js';
import { encodeSafetensors } from '../onnx/safetensors.js';
import { elementCount, tensor, type Tensor } from '../onnx/tensor.js';
import { crossEntropy } from '../optim/loss.js';
import { multipliersOf } from '../optim/learningRates.js';
import { optimizers, updateRuleOf } from '../optim/optimizer.js';
import type { LayerTable } from '../policy/layers.js';
import { type Block, findBlocks } from '../policy/blocks.js';
import { deepestWithin } from '../policy/nearest.js';
import { type LayerChoice, chooseLayers, parsePolicy, type Policy, showPolicy } from '../policy/policy.js';
import { Random } from '../random.js';
import { packageVersion } from '../version.js';
import { normalizeByBatch, normsOf, presenceOf, separateStatistics, statisticsOf } from './batchStatistics.js';
import { fromKept, type Kept, keptBoundary } from './boundary.js';
import { dropout } from './dropout.js';
import { insertHiddenLayers } from './hiddenLayers.js';
import { type Manifest, NEXT, STEP_INPUTS, STEP_OUTPUTS } from './manifest.js';
import { classifierOf, prependPreprocessing, replaceHead } from './prepare.js';
import { type PreprocessingOptions, preprocessingOf } from './preprocessing.js';
import { checkStepOptions, type StepOptions } from './stepOptions.js';
import { appendUpdate, type TrainedParameter, updateGraph, type UpdateSettings } from './updateGraph.js';

export interface CompileOptions extends StepOptions, PreprocessingOptions {
  /** What trains, as {@link parsePolicy} reads it. */
  readonly policy: string;
  readonly classes: readonly string[];
  /** Seed of the new head's weights; default 0. */
  readonly seed?: number;
  /** Side of the images in pixels, where the model leaves it open. */
  readonly size?: number | undefined;
  /** Units of fresh fully connected layers with ReLU before the head, from input to head; default none. */
  readonly hidden?: readonly number[];
  /** Share of the inputs of the head, and of each hidden layer, that a step leaves out; default 0. */
  readonly dropout?: number;
  /**
   * Where the BatchNormalizations of trained layers take mean and variance from while training: the model (default), or
   * the batch, with the model's running averages updated. Evaluation takes the model's in both cases.
   */
  readonly batchNorm?: 'frozen' | 'batch';
  /** How what the frozen part gives is kept; default `float32`. `float16` takes half the room, and rounds to 11 bits. */
  readonly boundaryDtype?: 'float32' | 'float16';
  /**
   * Block size of the CPU provider's blocked layout on the machine that trains (`probeBlockSize` finds it): depthwise
   * convolutions are several times as fast in it. Default none: then every provider and machine runs the artifacts.
   */
  readonly blockSize?: 8 | 16;
  /** Whether the backward pass computes activations again in place of keeping them: less memory, more work; default no. */
  readonly recompute?: boolean;
}

/** A compiled classifier, in memory. */
export interface Compiled {
  readonly manifest: Omit<Manifest, 'files'>;
  /** Absent when every layer trains: then the boundary is the pixels themselves. */
  readonly frozen: ModelProto | undefined;
  /** The same in whole numbers, where the manifest says so; then it is what runs. */
  readonly quantized?: ModelProto;
  readonly training: ModelProto;
  /** Present when a batch takes several runs of `training`: the update of the parameters is a graph of its own then. */
  readonly update: ModelProto | undefined;
  readonly evaluation: ModelProto;
  /** Initial parameters and moments by their names. */
  readonly state: ReadonlyMap<string, Tensor>;
}

export const FILES = {
  frozen: 'frozen.onnx',
  quantized: 'frozen_int8.onnx',
  training: 'training_model.onnx',
  update: 'update_model.onnx',
  evaluation: 'eval_model.onnx',
  checkpoint: 'checkpoint.safetensors',
  manifest: 'manifest.json',
} as const;

/**
 * Turns a pretrained classifier and a policy into training artifacts.
 * @throws UserError for a model that is no classifier, a policy that does not fit it, an operator without a gradient rule.
 */
export function compile(model: ModelFile, options: CompileOptions): Compiled {
  return compileParts(model, options).compiled;
}

/** What artifacts are made of: the classifier's graph with its new head, from pixels to logits, and what of it trains. */
export interface Parts {
  readonly compiled: Compiled;
  readonly graph: Graph;
  readonly parameters: readonly Value[];
}

/** Does what {@link compile} does, and also gives what other artifacts can be made of. */
export function compileParts(model: ModelFile, options: CompileOptions): Parts {
  const { classes, batch = 32, microBatch = batch, targets = 'labels', seed = 0 } = options;
  const { optimizer = optimizers.adamw, clipNorm = 0, averageDecay = 0, classWeights } = options;
  const { hidden: units = [], dropout: dropoutRatio = 0, batchNorm = 'frozen' } = options;
  if (classes.length < 2)
    throw new UserError('one-class', `a classifier needs two classes or more, got ${classes.length}`);
  checkStepOptions(options, classes.length);
  if (microBatch < batch && (batchNorm === 'batch' || dropoutRatio > 0)) {
    throw new UserError(
      'bad-arguments',
      `a part of a batch has other statistics than the batch, and drops out by itself; leave out ‹accumulate› and ‹memoryBytes›, or ${batchNorm === 'batch' ? '‹batchNorm› batch' : '‹dropout›'}`,
    );
  }
  const policy = parsePolicy(options.policy);
  const classifier = classifierOf(model, options.size);
  const preprocessing = preprocessingOf(model, options, classifier.imageSize);
  const { graph } = classifier;
  separateStatistics(graph);
  const blocks = findBlocks(graph, classifier.layers);
  const choice = chooseLayers(policy, classifier.layers, blocks);
  const fresh = insertHiddenLayers(classifier, units, seed);
  const reshapes = replaceHead(classifier, classes.length, seed);
  prependPreprocessing(classifier, preprocessing);

  // The head stands for all that is new: F1 trains its hidden layers too.
  const withFresh = (chosen: LayerChoice) => chosen.layers.toSpliced(-1, 0, ...fresh.layers);
  const layerEntries = withFresh(choice).map(({ kind, name, parameters: own }) => ({
    kind,
    name,
    parameters: own.map((value) => value.name),
  }));
  const multipliers = multipliersOf(layerEntries, options.learningRateMultipliers ?? []);
  const settings = { optimizer, clipNorm, averageDecay };
  const part = (chosen: LayerChoice) => {
    const layers = withFresh(chosen);
    const norms = batchNorm === 'batch' ? normsOf(layers) : [];
    const statistics = statisticsOf(norms);
    const averages = statistics.map(({ value }) => value);
    const parameters = [...new Set(layers.flatMap((layer) => layer.parameters))];
    const cut = cutGraph(graph, new Set(parameters));
    const entries = parameters.map((value): TrainedParameter => {
      const { name } = value;
      return {
        name,
        shape: bindShape(value.shape ?? [], 1),
        moments: updateRuleOf(optimizer).moments.map((moment) => `${name}/${moment}`),
        ...(averageDecay > 0 ? { average: `${name}/average` } : {}),
        ...(microBatch < batch ? { gradient: `${name}/gradient` } : {}),
        learningRateMultiplier: multipliers.get(name) ?? 1,
        decays: options.decay === 'all' || isWeight(value),
      };
    });
    const dropped = dropoutRatio > 0 ? layers.slice(-1 - fresh.layers.length).map(({ node }) => node) : [];
    const noise = { norms, averages, dropped, dropoutRatio, seed };
    const rows = valuesAsRows(cut.trained, cut.boundary, graph.outputs, new Set([...norms, ...dropped]));
    const kept = keptBoundary(cut, rows, options.boundaryDtype ?? 'float32');
    const form = { cut, kept, rows };
    const step = trainingGraph(graph, form, parameters, entries, noise, {
      ...options,
      ...settings,
      microBatch,
      targets,
    });
    return { statistics, averages, parameters, form, entries, step };
  };
  const { statistics, averages, parameters, form, entries, step } = withNearestPolicy(
    policy,
    classifier.layers,
    blocks,
    part,
  );
  const warnings = [...choice.warnings];
  if (batchNorm === 'batch' && statistics.length === 0)
    warnings.push('no trained layer has a BatchNormalization, so ‹batchNorm› batch changes nothing');
  const update =
    microBatch < batch ? updateGraph(new Builder(graph.opset, options.blockSize), entries, settings) : undefined;
  const state = initialState(parameters, averages, entries);
  const { cut, kept } = form;
  const boundaryBytes = kept.reduce((total, { value }) => total + bytesOf(value), 0);
  const boundary = kept.map(({ value }) => {
    if (value.dtype !== 'float32' && value.dtype !== 'float16' && value.dtype !== 'uint8')
      throw new Error(`the boundary "${value.name}" is ${value.dtype ?? 'untyped'}`);
    return { name: value.name, dtype: value.dtype, shape: imageShape(value) };
  });
  const macs = (nodes: readonly Node[]) => nodes.reduce((total, node) => total + multiplyAdds(node), 0);
  const stateBytes = [...state.values()].reduce((total, t) => total + t.data.byteLength, 0);
  const gradientBytes = update ? 4 * sizeOf(parameters) : 0;
  const forward = macs(cut.trained);
  const allParameters = new Set([...classifier.layers.all, ...fresh.layers].flatMap((layer) => layer.parameters));
  const compiled: Compiled = {
    manifest: {
      format: 1,
      target: 'ort-tl',
      version: packageVersion,
      source: {
        file: basename(model.path),
        sha256: model.sha256,
        opset: Number(model.proto.opsetImport[0]?.version ?? 0),
      },
      policy: showPolicy(policy),
      notes: [...choice.notes],
      warnings,
      classes: [...classes],
      hidden: fresh.hidden,
      dropout: dropoutRatio,
      preprocessing,
      batch,
      ...(microBatch < batch ? { microBatch } : {}),
      ...(options.recompute ? { recomputes: true } : {}),
      targets,
      labelSmoothing: options.labelSmoothing ?? 0,
      ...(classWeights ? { classWeights: [...classWeights] } : {}),
      focalGamma: options.focalGamma ?? 0,
      optimizer,
      clipNorm,
      averageDecay,
      opset: graph.opset,
      ...(options.blockSize ? { blockSize: options.blockSize } : {}),
      layers: layerEntries,
      parameters: entries,
      statistics: statistics.map(({ value, node, input }) => ({
        name: value.name,
        shape: bindShape(value.shape ?? [], 1),
        node: node.name,
        input,
      })),
      separated: classifier.separated
        .filter(({ value }) => parameters.includes(value))
        .map(({ value, node, input }) => ({ name: value.name, node: node.name, input })),
      reshapes,
      boundary,
      cost: {
        parameters: sizeOf(allParameters),
        trainableParameters: sizeOf(parameters),
        boundaryBytes,
        frozenMultiplyAdds: macs(cut.frozen),
        forwardMultiplyAdds: forward,
        backwardMultiplyAdds: Math.max(
          0,
          Math.round(macs(ancestors(step.nodes, [step.loss, ...step.gradients])) / microBatch) - forward,
        ),
        trainingMemoryBytes:
          (update ? stateBytes + gradientBytes : 2 * stateBytes) +
          Math.max(...[step, update].map((each) => (each ? peakActivationBytes(each) : 0))) +
          microBatch * boundaryBytes,
      },
    },
    frozen:
      cut.frozen.length === 0
        ? undefined
        : modelOfGraph(
            {
              opset: graph.opset,
              inputs: graph.inputs,
              // The pixels may be a part of the boundary, and need no run.
              outputs: kept.flatMap(({ value }) => (value.producer ? [value] : [])),
              nodes: [...cut.frozen, ...kept.flatMap(({ nodes }) => nodes)],
            },
            'frozen',
          ),
    training: trainingModel(step, kept, options.recompute ?? false),
    update: update && modelOfGraph(update, 'update'),
    evaluation: modelOfGraph(
      evaluationGraph(graph, form, [...parameters, ...averages], options.blockSize),
      'evaluation',
    ),
    state,
  };
  return { compiled, graph, parameters };
}

/**
 * The training graph as a model. Among values of one shape ONNX Runtime hands memory on from the first to the last, and holds it
 * in between: where activations are not kept, they have to differ, so the batch of what comes in is left open.
 */
function trainingModel(step: StepGraph, kept: readonly Kept[], recomputes: boolean): ModelProto {
  const model = modelOfGraph(step, 'training');
  const names = new Set(recomputes ? kept.map(({ value }) => value.name) : []);
  for (const { name, type } of model.graph?.input ?? []) {
    const batch = names.has(name) ? type?.tensorType?.shape?.dim[0] : undefined;
    if (batch) batch.value = { case: undefined };
  }
  return model;
}

/** Codes of errors that lie in one operator: a policy whose trained part is without it has no such error. */
const AVOIDABLE = new Set(['no-gradient-rule', 'no-gradient', 'unknown-shape']);

/** What `part` gives for a policy's layers. @throws its error, with the nearest policy that avoids it at the end. */
function withNearestPolicy<T>(
  policy: Policy,
  table: LayerTable,
  blocks: readonly Block[],
  part: (choice: LayerChoice) => T,
): T {
  const attempt = (other: Policy): T | UserError => {
    try {
      return part(chooseLayers(other, table, blocks));
    } catch (thrown) {
      if (thrown instanceof UserError && AVOIDABLE.has(thrown.code)) return thrown;
      throw thrown;
    }
  };
  const result = attempt(policy);
  if (!(result instanceof UserError)) return result;
  const nearest = deepestWithin(policy, table, (other) => !(attempt(other) instanceof UserError));
  const advice = nearest
    ? `, such as ${showPolicy(nearest)}`
    : '; but not even F1C0 does, so export the model without that operator';
  throw new UserError(result.code, `${result.message}${advice}`, { cause: result });
}

const sizeOf = (values: Iterable<Value>) =>
  [...values].reduce((total, value) => total + elementCount(bindShape(value.shape ?? [], 1)), 0);
/** Weights have several axes; biases, and normalization's scales and shifts, stretch along one at most. */
const isWeight = ({ shape }: Value) => bindShape(shape ?? [], 1).filter((dim) => dim > 1).length > 1;

/** The error of a value in the trained part whose shape an operator before it hides. */
function unknownShape({ name, producer }: Value): UserError {
  const source = producer && unknownOperatorBefore(producer);
  return new UserError(
    'unknown-shape',
    `the shape of "${name}" is not known${source ? `, since ${describe(source)} hides it` : ''}; write shapes into the model (onnx.shape_inference), or choose a policy that stops after it`,
  );
}

/** The first operator that ort-tl does not know on the way back from `node`. */
function unknownOperatorBefore(node: Node): Node {
  const seen = new Set([node]);
  for (const each of seen) {
    if (!infersShapeOf(each)) return each;
    for (const input of each.inputs) if (input?.producer && !input.shape) seen.add(input.producer);
  }
  return node;
}

/** The shape of one image's share of a boundary value. */
function imageShape(value: Value): number[] {
  if (!value.shape) throw unknownShape(value);
  const [first, ...rest] = value.shape;
  if (first === undefined || typeof first === 'number' || first.batch !== 1) {
    throw new UserError(
      'unsupported-model',
      `"${value.name}", where the trained part begins, does not have the batch as its first dimension; choose another policy`,
    );
  }
  return bindShape(rest, 1);
}

/** How a policy parts the graph, and how what crosses is laid out. */
interface Form {
  readonly cut: Cut;
  readonly kept: readonly Kept[];
  readonly rows: Rows;
}

interface StepGraph extends Graph {
  readonly loss: Value;
  readonly gradients: readonly Value[];
}

/** Where training is not what evaluation is. */
interface Noise {
  /** BatchNormalizations that take their statistics from the batch, and their running averages. */
  readonly norms: readonly Node[];
  readonly averages: readonly Value[];
  /** Layers of whose inputs a share is left out. */
  readonly dropped: readonly Node[];
  readonly dropoutRatio: number;
  readonly seed: number;
}

/**
 * Forward, loss, backward and update: one run is one training step. Where a batch takes several runs, each adds its gradients
 * to those of the runs before it, and {@link updateGraph} does the rest.
 */
function trainingGraph(
  source: Graph,
  { cut, kept, rows }: Form,
  parameters: readonly Value[],
  entries: readonly TrainedParameter[],
  { norms, averages, dropped, dropoutRatio, seed }: Noise,
  options: StepOptions &
    UpdateSettings &
    Pick<CompileOptions, 'blockSize' | 'recompute'> & {
      readonly microBatch: number;
      readonly targets: 'labels' | 'soft';
    },
): StepGraph {
  const batch = options.microBatch;
  const alien = descendants(cut.trained, parameters).nodes.find((node) => !infersShapeOf(node));
  if (alien) throw noGradientRule(alien);
  const shapeless = cut.trained.map((node) => node.output()).find(({ shape, isAssumed }) => !shape || isAssumed);
  if (shapeless) throw unknownShape(shapeless);
  const g = new Builder(source.opset, options.blockSize);
  const given = new Map<Value, Value>();
  for (const each of kept) {
    const { name, dtype = 'float32' } = each.value;
    given.set(each.source, fromKept(g, each, g.input(name, dtype, [batch, ...imageShape(each.value)])));
  }
  const [output] = source.outputs;
  const classes = output?.shape?.[1];
  if (!output || typeof classes !== 'number') throw new Error('the graph gives no row of logits for an image');
  const targets =
    options.targets === 'soft'
      ? g.input(STEP_INPUTS.targets, 'float32', [batch, classes])
      : g.oneHot(g.input(STEP_INPUTS.labels, 'int64', [batch]), classes);
  const shares = g.input(STEP_INPUTS.shares, 'float32', [batch]);
  const shapeOf = (value: Value): Shape => value.shape ?? [];
  for (const parameter of parameters) given.set(parameter, g.input(parameter.name, 'float32', shapeOf(parameter)));
  const trainable = parameters.map((parameter) => lookUp(given, parameter));

  for (const value of averages) given.set(value, g.input(value.name, 'float32', shapeOf(value)));

  const rewrites = new Map<Node, Rewrite>();
  const moved = new Map<Value, Value>();
  if (norms.length > 0) {
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
  }
  const step = dropped.length > 0 ? g.input(STEP_INPUTS.step, 'float32', []) : undefined;
  for (const layer of dropped) {
    const random = new Random(seed).fork(`dropout ${layer.name}`);
    rewrites.set(layer, (node, at) => {
      const [x, ...others] = node.inputs.map((input) => input && at(input));
      if (!x || !step) throw new Error('unreachable');
      const inputs = [dropout(g, x, dropoutRatio, step, random), ...others];
      return g.op(node.op, inputs, Object.fromEntries(node.attributes), { name: g.uniqueName(node.name) });
    });
  }
  const at = lower(g, cut.trained, given, rewrites, rows);
  const logits = at(output);
  const loss = crossEntropy(g, logits, targets, shares, options);
  const forward = new Set(g.graph.nodes);
  const gradients = differentiate(g, [...forward], loss, trainable);

  g.output(STEP_OUTPUTS.loss, loss);
  g.output(STEP_OUTPUTS.logits, logits);
  const values = trainable.map((parameter) => ({ parameter, gradient: lookUp(gradients, parameter) }));
  if (entries.some(({ gradient }) => gradient !== undefined)) {
    values.forEach(({ parameter, gradient }, index) => {
      const before = g.input(entries[index]?.gradient ?? '', 'float32', shapeOf(parameter));
      g.output(before.name + NEXT, g.add(before, gradient));
    });
  } else {
    appendUpdate(g, entries, values, options, step);
  }
  for (const [before, after] of moved) g.output(before.name + NEXT, after);
  const nodes = options.recompute ? recompute(g, forward, logits) : ancestors(g.graph.nodes, g.graph.outputs);
  return { ...g.graph, nodes, loss, gradients: [...gradients.values()] };
}

function lookUp(map: ReadonlyMap<Value, Value>, key: Value): Value {
  const value = map.get(key);
  if (!value) throw new Error(`nothing stands for "${key.name}"`);
  return value;
}

/** From the boundary and the state that it reads to the logits, for any batch. */
function evaluationGraph(
  source: Graph,
  { cut, kept, rows }: Form,
  state: readonly Value[],
  blockSize: CompileOptions['blockSize'],
): Graph {
  const g = new Builder(source.opset, blockSize);
  const given = new Map<Value, Value>();
  for (const each of kept) {
    const { name, dtype = 'float32', shape = [] } = each.value;
    given.set(each.source, fromKept(g, each, g.input(name, dtype, shape)));
  }
  for (const value of state) given.set(value, g.input(value.name, value.dtype ?? 'float32', value.shape ?? []));
  const at = lower(g, cut.trained, given, new Map(), rows);
  source.outputs.forEach((output) => g.output(STEP_OUTPUTS.logits, at(output)));
  return g.graph;
}

/** Parameters and their averages as they are at first, moments zero. */
function initialState(
  parameters: readonly Value[],
  statistics: readonly Value[],
  entries: readonly TrainedParameter[],
): Map<string, Tensor> {
  const state = new Map<string, Tensor>();
  for (const { name, constant } of statistics) {
    if (!constant) throw new Error(`statistic "${name}" has no value`);
    state.set(name, constant);
  }
  parameters.forEach(({ name, constant }, index) => {
    if (!constant) throw new Error(`parameter "${name}" has no value`);
    state.set(name, constant);
    const { moments = [], average } = entries[index] ?? {};
    for (const moment of moments)
      state.set(moment, tensor('float32', constant.dims, new Float32Array(elementCount(constant.dims))));
    if (average !== undefined) state.set(average, constant);
  });
  return state;
}

/**
 * Writes artifacts into `folder`, all of them or none; the manifest last, so that a folder with a manifest is whole.
 * @throws UserError `write-failed`.
 */
export async function writeArtifacts(compiled: Compiled, folder: string): Promise<Manifest> {
  const models = [
    [FILES.frozen, compiled.frozen],
    [FILES.quantized, compiled.quantized],
    [FILES.training, compiled.training],
    [FILES.update, compiled.update],
    [FILES.evaluation, compiled.evaluation],
  ] as const;
  const contents: [string, Uint8Array[]][] = models.flatMap(([name, proto]) =>
    proto ? [[name, [encodeModel(proto)]] satisfies [string, Uint8Array[]]] : [],
  );
  contents.push([FILES.checkpoint, encodeSafetensors(compiled.state)]);
  const files = Object.fromEntries(contents.map(([name, parts]) => [name, sha256(...parts)]));
  const manifest = { ...compiled.manifest, files };
  const all = [...contents, [FILES.manifest, [`${JSON.stringify(manifest, null, 2)}\n`]] as const];
  await writeFilesAtomically(all.map(([name, parts]) => ({ path: join(folder, name), parts })));
  return manifest;
}
