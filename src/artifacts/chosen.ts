import type { ModelFile } from '../onnx/model.js';
import { multipliersOf } from '../optim/learningRates.js';
import { type Block, findBlocks } from '../policy/blocks.js';
import type { Layer } from '../policy/layer.js';
import type { LayerChoice } from '../policy/layerChoice.js';
import { chooseLayers, type Policy } from '../policy/policy.js';
import { type Adapters, insertAdapters, withAdapter } from './adapters.js';
import { separateStatistics } from './batchStatistics.js';
import type { FilledOptions } from './compileOptions.js';
import { beginAtLogOdds } from './headBias.js';
import { type HiddenLayer, insertHiddenLayers } from './hiddenLayers.js';
import type { Manifest, Preprocessing } from './manifest.js';
import { statedFor } from './ownPixels.js';
import { type Classifier, classifierOf, refuseSigmoid } from './prepare.js';
import { prependPreprocessing } from './prependPreprocessing.js';
import { outputOf } from '../plain/oneResult.js';
import { plainForm } from '../plain/plainForm.js';
import { sideOf, type StatedPreprocessing } from './preprocessing.js';
import { replaceHead, type Resized } from './replaceHead.js';
import { type WarmStart, warmStartOf } from './warmStart.js';

/** The classifier with its fresh layers, and what a policy chooses of it. */
export interface Chosen {
  readonly classifier: Classifier;
  readonly preprocessing: Preprocessing;
  /** What there is to say of the model and of the preprocessing. */
  readonly told: Omit<StatedPreprocessing, 'preprocessing'>;
  readonly blocks: readonly Block[];
  readonly choice: LayerChoice;
  readonly fresh: { readonly layers: readonly Layer[]; readonly hidden: HiddenLayer[] };
  /** What trains beside matrices, where the policy is one of adapters. */
  readonly adapters: Adapters;
  /** Layers that train, as the manifest has them. */
  readonly layers: Manifest['layers'];
  /** Factors for the learning rates of parameters, by their names. */
  readonly multipliers: ReadonlyMap<string, number>;
  /** What beside its parameters has another size with the new classes. */
  readonly resized: Resized;
  readonly warmStart: WarmStart;
}

/** A model, read as a classifier of images. */
export type Understood = Pick<Chosen, 'classifier' | 'preprocessing' | 'told' | 'blocks' | 'warmStart'>;

/** Reads a model as a classifier of images, and finds its blocks. @throws UserError where it is none. */
export function understand(model: ModelFile, options: FilledOptions): Understood {
  const { asked, usual } = sideOf(model, options);
  const classifier = classifierOf(model, { ...options, size: asked, usual });
  refuseSigmoid(classifier, options.task);
  const plain = plainForm(model.proto, model.path, outputOf(model.proto, options));
  const { preprocessing, notes, warnings } = statedFor(model, options, classifier.image);
  const told = { notes: [...plain.notes, ...notes], warnings: [...plain.warnings, ...warnings] };
  separateStatistics(classifier.graph);
  const blocks = findBlocks(classifier.graph, classifier.layers);
  return { classifier, preprocessing, told, blocks, warmStart: warmStartOf(model, options) };
}

/** Chooses what trains, and gives the graph its fresh layers and its preprocessing. @throws UserError `bad-policy`. */
export function choose(understood: Understood, policy: Policy, options: FilledOptions): Chosen {
  const { classifier, preprocessing, blocks, warmStart } = understood;
  const choice = chooseLayers(policy, classifier.layers, blocks);
  const fresh = insertHiddenLayers(classifier, options.hidden, options.seed);
  const resized = replaceHead(classifier, options.classes.length, options.seed, warmStart);
  beginAtLogOdds(classifier, options.labelShares, warmStart);
  const adapters = insertAdapters(classifier.graph, choice, options.seed);
  prependPreprocessing(classifier, preprocessing);
  const layers = layersOf(choice, { fresh, adapters }).map(({ kind, name, parameters }) => ({
    kind,
    name,
    parameters: parameters.map((value) => value.name),
  }));
  const heads = new Set(classifier.layers.heads.map(({ name }) => name));
  const multipliers = multipliersOf(layers, options.learningRateMultipliers, heads);
  return { ...understood, choice, fresh, adapters, layers, multipliers, resized };
}

/**
 * The layers that train, from input to heads, with what trains of them. The head stands for all that is new: F1 trains its hidden layers
 * too.
 */
export function layersOf(
  { layers, lora }: LayerChoice,
  { fresh, adapters }: Pick<Chosen, 'fresh' | 'adapters'>,
): readonly Layer[] {
  const trained = lora ? layers.map((layer) => withAdapter(layer, adapters)) : layers;
  return trained.toSpliced(-1, 0, ...fresh.layers);
}
