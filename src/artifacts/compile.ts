import { basename, join } from 'node:path';
import { differentiate, noGradientRule } from '../autodiff/gradient.js';
import { UserError } from '../errors.js';
import { writeFileAtomically, sha256 } from '../files.js';
import { Builder } from '../graph/builder.js';
import { multiplyAdds, peakActivationBytes } from '../graph/cost.js';
import { type Cut, cutGraph } from '../graph/cut.js';
import { bindShape, describe, type Graph, type Node, type Shape, type Value } from '../graph/graph.js';
import { lower, type Rewrite } from '../graph/lower.js';
import { ancestors, descendants } from '../graph/order.js';
import { modelOfGraph } from '../graph/proto.js';
import { infersShapeOf } from '../graph/shapes.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import { encodeModel, type ModelFile } from '../onnx/model.js';
import { writeSafetensors } from '../onnx/safetensors.js';
import { elementCount, floatTensor, type Tensor } from '../onnx/tensor.js';
import { crossEntropy } from '../optim/loss.js';
import { momentsOf, type Optimizer, optimizers, update } from '../optim/optimizer.js';
import type { LayerTable } from '../policy/layers.js';
import { type Block, findBlocks } from '../policy/blocks.js';
import { deepestWithin } from '../policy/nearest.js';
import { type Choice, chooseLayers, parsePolicy, type Policy, showPolicy } from '../policy/policy.js';
import { Random } from '../random.js';
import { packageVersion } from '../version.js';
import { normalizeByBatch, normsOf, presenceOf, separateStatistics, statisticsOf } from './batchStatistics.js';
import { dropout } from './dropout.js';
import { insertHiddenLayers } from './hiddenLayers.js';
import { type Manifest, NEXT, type Preprocessing, STEP_INPUTS, STEP_OUTPUTS } from './manifest.js';
import { classifierOf, prependPreprocessing, replaceHead } from './prepare.js';

export interface CompileOptions {
  /** As {@link parsePolicy} reads it. */
  readonly policy: string;
  readonly classes: readonly string[];
  /** Images a step; default 32. */
  readonly batch?: number;
  readonly optimizer?: Optimizer;
  /** ε of the softened targets; default 0. */
  readonly labelSmoothing?: number;
  /** Of the new head's weights; default 0. */
  readonly seed?: number;
  /** Side of the images in pixels, where the model leaves it open. */
  readonly size?: number;
  /** Units of fresh fully connected layers with ReLU before the head, from input to head; default none. */
  readonly hidden?: readonly number[];
  /** Share of the inputs of the head, and of each hidden layer, that a step leaves out; default 0. */
  readonly dropout?: number;
  /**
   * Where the BatchNormalizations of trained layers take mean and variance from while training: the model (default), or
   * the batch, with the model's running averages updated. Evaluation takes the model's in both cases.
   */
  readonly batchNorm?: 'frozen' | 'batch';
  readonly preprocessing: (imageSize: readonly [number, number]) => Preprocessing;
}

/** A compiled classifier, in memory. */
export interface Compiled {
  readonly manifest: Omit<Manifest, 'files'>;
  /** Absent when every layer trains: then the boundary is the pixels themselves. */
  readonly frozen: ModelProto | undefined;
  readonly training: ModelProto;
  readonly evaluation: ModelProto;
  /** Initial parameters and moments by their names. */
  readonly state: ReadonlyMap<string, Tensor>;
}

export const FILES = {
  frozen: 'frozen.onnx',
  training: 'training_model.onnx',
  evaluation: 'eval_model.onnx',
  checkpoint: 'checkpoint.safetensors',
  manifest: 'manifest.json',
} as const;

/**
 * Turns a pretrained classifier and a policy into training artifacts.
 * @throws UserError for a model that is no classifier, a policy that does not fit it, an operator without a gradient rule.
 */
export function compile(model: ModelFile, options: CompileOptions): Compiled {
  const { classes, batch = 32, optimizer = optimizers.adamw, labelSmoothing = 0, seed = 0 } = options;
  const { hidden: units = [], dropout: dropoutRatio = 0, batchNorm = 'frozen' } = options;
  if (classes.length < 2)
    throw new UserError('one-class', `a classifier needs two classes or more, got ${classes.length}`);
  const policy = parsePolicy(options.policy);
  const classifier = classifierOf(model, options.size);
  const preprocessing = options.preprocessing(classifier.imageSize);
  const { graph } = classifier;
  separateStatistics(graph);
  const blocks = findBlocks(graph, classifier.layers);
  const choice = chooseLayers(policy, classifier.layers, blocks);
  const fresh = insertHiddenLayers(classifier, units, seed);
  replaceHead(classifier, classes.length, seed);
  prependPreprocessing(classifier, preprocessing);

  const part = (chosen: Choice) => {
    // The head stands for all that is new: F1 trains its hidden layers too.
    const layers = chosen.layers.toSpliced(-1, 0, ...fresh.layers);
    const norms = batchNorm === 'batch' ? normsOf(layers) : [];
    const statistics = statisticsOf(norms);
    const averages = statistics.map(({ value }) => value);
    const parameters = [...new Set(layers.flatMap((layer) => layer.parameters))];
    const cut = cutGraph(graph, new Set(parameters));
    const step = trainingGraph(graph, cut, parameters, averages, {
      batch,
      optimizer,
      labelSmoothing,
      norms,
      dropped: dropoutRatio > 0 ? layers.slice(-1 - fresh.layers.length).map(({ node }) => node) : [],
      dropoutRatio,
      seed,
    });
    return { layers, statistics, averages, parameters, cut, step };
  };
  const { layers, statistics, averages, parameters, cut, step } = withNearestPolicy(
    policy,
    classifier.layers,
    blocks,
    part,
  );
  const warnings = [...choice.warnings];
  if (batchNorm === 'batch' && statistics.length === 0)
    warnings.push('no trained layer has a BatchNormalization, so --bn batch changes nothing');
  const state = initialState(parameters, averages, optimizer);
  const boundary = cut.boundary.map((value) => {
    if (value.dtype !== 'float32' && value.dtype !== 'uint8')
      throw new Error(`the boundary "${value.name}" is ${value.dtype ?? 'untyped'}`);
    return { name: value.name, dtype: value.dtype, shape: imageShape(value) };
  });
  const macs = (nodes: readonly Node[]) => nodes.reduce((total, node) => total + multiplyAdds(node), 0);
  const stateBytes = [...state.values()].reduce((total, t) => total + t.data.byteLength, 0);
  const forward = macs(cut.trained);
  const allParameters = new Set([...classifier.layers.all, ...fresh.layers].flatMap((layer) => layer.parameters));
  return {
    manifest: {
      format: 1,
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
      labelSmoothing,
      optimizer,
      opset: graph.opset,
      layers: layers.map(({ kind, name, parameters: own }) => ({
        kind,
        name,
        parameters: own.map((value) => value.name),
      })),
      parameters: parameters.map((value) => ({
        name: value.name,
        shape: bindShape(value.shape ?? [], 1),
        moments: momentsOf(optimizer).map((moment) => momentName(value.name, moment)),
      })),
      statistics: statistics.map(({ value, node, input }) => ({
        name: value.name,
        shape: bindShape(value.shape ?? [], 1),
        node: node.name,
        input,
      })),
      boundary,
      cost: {
        parameters: sizeOf(allParameters),
        trainableParameters: sizeOf(parameters),
        boundaryBytes: cut.bytesPerImage,
        frozenMultiplyAdds: macs(cut.frozen),
        forwardMultiplyAdds: forward,
        backwardMultiplyAdds: Math.max(
          0,
          Math.round(macs(ancestors(step.nodes, [step.loss, ...step.gradients])) / batch) - forward,
        ),
        trainingMemoryBytes: 2 * stateBytes + peakActivationBytes(step.nodes, step.outputs) + batch * cut.bytesPerImage,
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
              outputs: cut.boundary.filter(({ producer }) => producer),
              nodes: [...cut.frozen],
            },
            'frozen',
          ),
    training: modelOfGraph(step, 'training'),
    evaluation: modelOfGraph(evaluationGraph(graph, cut, [...parameters, ...averages]), 'evaluation'),
    state,
  };
}

/** Codes of errors that lie in one operator: a policy whose trained part is without it has no such error. */
const AVOIDABLE = new Set(['no-gradient-rule', 'no-gradient', 'unknown-shape']);

/** What `part` gives for a policy's layers. @throws its error, with the nearest policy that avoids it at the end. */
function withNearestPolicy<T>(
  policy: Policy,
  table: LayerTable,
  blocks: readonly Block[],
  part: (choice: Choice) => T,
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
const momentName = (parameter: string, moment: string) => `${parameter}/${moment}`;

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

interface StepGraph extends Graph {
  readonly loss: Value;
  readonly gradients: readonly Value[];
}

/** Forward, loss, backward and update: one run is one training step. */
function trainingGraph(
  source: Graph,
  cut: Cut,
  parameters: readonly Value[],
  statistics: readonly Value[],
  options: {
    batch: number;
    optimizer: Optimizer;
    labelSmoothing: number;
    /** BatchNormalizations that take their statistics from the batch. */
    norms: readonly Node[];
    /** Layers of whose inputs a share is left out. */
    dropped: readonly Node[];
    dropoutRatio: number;
    seed: number;
  },
): StepGraph {
  const { batch, optimizer, norms, dropped, dropoutRatio } = options;
  const alien = descendants(cut.trained, parameters).nodes.find((node) => !infersShapeOf(node));
  if (alien) throw noGradientRule(alien);
  const shapeless = cut.trained.map((node) => node.output()).find(({ shape, isAssumed }) => !shape || isAssumed);
  if (shapeless) throw unknownShape(shapeless);
  const g = new Builder(source.opset);
  const given = new Map<Value, Value>();
  for (const value of cut.boundary)
    given.set(value, g.input(value.name, value.dtype ?? 'float32', [batch, ...imageShape(value)]));
  const labels = g.input(STEP_INPUTS.labels, 'int64', [batch]);
  const weights = g.input(STEP_INPUTS.weights, 'float32', [batch]);
  const learningRate = g.input(STEP_INPUTS.learningRate, 'float32', []);
  const step = g.input(STEP_INPUTS.step, 'float32', []);
  const shapeOf = (value: Value): Shape => value.shape ?? [];
  for (const parameter of parameters) given.set(parameter, g.input(parameter.name, 'float32', shapeOf(parameter)));
  const trainable = parameters.map((parameter) => lookUp(given, parameter));
  const moments = parameters.map((parameter) =>
    momentsOf(optimizer).map((moment) => g.input(momentName(parameter.name, moment), 'float32', shapeOf(parameter))),
  );

  for (const value of statistics) given.set(value, g.input(value.name, 'float32', shapeOf(value)));

  const rewrites = new Map<Node, Rewrite>();
  const moved = new Map<Value, Value>();
  if (norms.length > 0) {
    const presence = presenceOf(g, weights);
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
  for (const layer of dropped) {
    const random = new Random(options.seed).fork(`dropout ${layer.name}`);
    rewrites.set(layer, (node, at) => {
      const [x, ...others] = node.inputs.map((input) => input && at(input));
      if (!x) throw new Error('unreachable');
      const inputs = [dropout(g, x, dropoutRatio, step, random), ...others];
      return g.op(node.op, inputs, Object.fromEntries(node.attributes), { name: g.uniqueName(node.name) });
    });
  }
  const at = lower(g, cut.trained, given, rewrites);
  const [output] = source.outputs;
  if (!output) throw new Error('the graph has no output');
  const logits = at(output);
  const loss = crossEntropy(g, logits, labels, weights, options.labelSmoothing);
  const gradients = differentiate(g, [...g.graph.nodes], loss, trainable);

  g.output(STEP_OUTPUTS.loss, loss);
  g.output(STEP_OUTPUTS.logits, logits);
  parameters.forEach((parameter, index) => {
    const before = lookUp(given, parameter);
    const own = moments[index] ?? [];
    const after = update(g, optimizer, before, lookUp(gradients, before), own, { learningRate, step });
    g.output(before.name + NEXT, after.parameter);
    own.forEach((moment, m) => after.moments[m] && g.output(moment.name + NEXT, after.moments[m]));
  });
  for (const [before, after] of moved) g.output(before.name + NEXT, after);
  const nodes = ancestors(g.graph.nodes, g.graph.outputs);
  return { ...g.graph, nodes, loss, gradients: [...gradients.values()] };
}

function lookUp(map: ReadonlyMap<Value, Value>, key: Value): Value {
  const value = map.get(key);
  if (!value) throw new Error(`nothing stands for "${key.name}"`);
  return value;
}

/** From the boundary and the state that it reads to the logits, for any batch. */
function evaluationGraph(source: Graph, cut: Cut, state: readonly Value[]): Graph {
  const g = new Builder(source.opset);
  const given = new Map<Value, Value>();
  for (const value of [...cut.boundary, ...state])
    given.set(value, g.input(value.name, value.dtype ?? 'float32', value.shape ?? []));
  const at = lower(g, cut.trained, given);
  source.outputs.forEach((output) => g.output(STEP_OUTPUTS.logits, at(output)));
  return g.graph;
}

function initialState(
  parameters: readonly Value[],
  statistics: readonly Value[],
  optimizer: Optimizer,
): Map<string, Tensor> {
  const state = new Map<string, Tensor>();
  for (const { name, constant } of statistics) {
    if (!constant) throw new Error(`statistic "${name}" has no value`);
    state.set(name, constant);
  }
  for (const { name, constant } of parameters) {
    if (!constant) throw new Error(`parameter "${name}" has no value`);
    state.set(name, constant);
    for (const moment of momentsOf(optimizer)) {
      state.set(momentName(name, moment), floatTensor(constant.dims, new Float32Array(elementCount(constant.dims))));
    }
  }
  return state;
}

/** Writes artifacts into `folder`; the manifest last, so that a folder with a manifest is whole. @throws UserError `write-failed`. */
export async function writeArtifacts(compiled: Compiled, folder: string): Promise<Manifest> {
  const files: Record<string, string> = {};
  const models = [
    [FILES.frozen, compiled.frozen],
    [FILES.training, compiled.training],
    [FILES.evaluation, compiled.evaluation],
  ] as const;
  for (const [name, proto] of models) {
    if (!proto) continue;
    const bytes = encodeModel(proto);
    files[name] = sha256(bytes);
    await writeFileAtomically(join(folder, name), bytes);
  }
  files[FILES.checkpoint] = await writeSafetensors(join(folder, FILES.checkpoint), compiled.state);
  const manifest = { ...compiled.manifest, files };
  await writeFileAtomically(join(folder, FILES.manifest), `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}
