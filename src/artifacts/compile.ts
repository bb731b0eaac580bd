import type { Graph, Value } from '../graph/graph.js';
import { modelOfGraph } from '../graph/proto.js';
import { selectEarly } from '../graph/selectEarly.js';
import type { ModelFile } from '../onnx/model.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import type { Tensor } from '../onnx/tensor.js';
import { parsePolicy } from '../policy/policy.js';
import { choose, understand } from './chosen.js';
import { describeArtifacts } from './describeArtifacts.js';
import { evaluationGraph } from './evaluationGraph.js';
import { type CompileOptions, type FilledOptions, filledOptions } from './compileOptions.js';
import { initialState } from './initialState.js';
import type { Manifest } from './manifest.js';
import { withNearestPolicy } from './nearestPolicy.js';
import { type Split, splitGraph } from './splitGraph.js';
import { type StepGraph, trainingGraph, trainingModel } from './trainingGraph.js';

/** A compiled classifier, in memory. */
export interface Compiled {
  readonly manifest: Omit<Manifest, 'files'>;
  /** Absent when every layer trains: then the boundary is the pixels themselves. */
  readonly frozen: ModelProto | undefined;
  /** The same in whole numbers, where the manifest says so; then it is what runs. */
  readonly quantized?: ModelProto;
  readonly training: ModelProto;
  readonly evaluation: ModelProto;
  /** Initial parameters and moments by their names. */
  readonly state: ReadonlyMap<string, Tensor>;
}

/** What artifacts are made of: the classifier's graph with its new head, from pixels to logits, and what of it trains. */
export interface Parts {
  readonly compiled: Compiled;
  readonly graph: Graph;
  readonly parameters: readonly Value[];
}

/**
 * Turns a pretrained classifier and a policy into training artifacts.
 * @throws UserError for a model that is no classifier, a policy that does not fit it, an operator without a gradient rule.
 */
export function compile(model: ModelFile, options: CompileOptions): Compiled {
  return compileParts(model, options).compiled;
}

/** Does what {@link compile} does, and also gives what other artifacts can be made of. */
export function compileParts(model: ModelFile, options: CompileOptions): Parts {
  const filled = filledOptions(options);
  const policy = parsePolicy(filled.policy);
  const understood = understand(model, filled);
  const chosen = choose(understood, policy, filled);
  const { graph } = chosen.classifier;
  selectEarly(graph);
  const { split, step } = withNearestPolicy(policy, chosen, (choice) => {
    const cut = splitGraph(chosen, choice, filled);
    return { split: cut, step: trainingGraph(graph, cut, filled) };
  });
  const evaluation = evaluationGraph(graph, split, filled.blockSize);
  const emitted = emit(graph, split, { step, evaluation }, filled);
  const { state } = emitted;
  const manifest = describeArtifacts({ model, policy, options: filled, chosen, split, step, evaluation, state });
  return { compiled: { ...emitted, manifest }, graph, parameters: split.parameters };
}

interface TrainedGraphs {
  readonly step: StepGraph;
  readonly evaluation: Graph;
}

/** Makes the models and the first state of a split graph. */
function emit(graph: Graph, split: Split, { step, evaluation }: TrainedGraphs, options: FilledOptions) {
  const { cut, kept } = split;
  const frozen = {
    opset: graph.opset,
    inputs: graph.inputs,
    // The pixels may be a part of the boundary, and need no run.
    outputs: kept.flatMap(({ value }) => (value.producer ? [value] : [])),
    nodes: [...cut.frozen, ...kept.flatMap(({ nodes }) => nodes)],
  };
  return {
    frozen: cut.frozen.length === 0 ? undefined : modelOfGraph(frozen, 'frozen'),
    training: trainingModel(step, kept, options),
    evaluation: modelOfGraph(evaluation, 'evaluation'),
    state: initialState(split, options),
  };
}
