import type { ModelFile } from '../onnx/model.js';
import { multipliersOf } from '../optim/learningRates.js';
import { type Block, findBlocks } from '../policy/blocks.js';
import type { Layer } from '../policy/layers.js';
import { type LayerChoice, chooseLayers, type Policy } from '../policy/policy.js';
import { separateStatistics } from './batchStatistics.js';
import type { FilledOptions } from './compileOptions.js';
import { beginAtLogOdds } from './headBias.js';
import { type HiddenLayer, insertHiddenLayers } from './hiddenLayers.js';
import type { Manifest, Preprocessing } from './manifest.js';
import { type Classifier, classifierOf, prependPreprocessing, refuseSigmoid, replaceHead } from './prepare.js';
import { preprocessingOf, sideOf, type StatedPreprocessing } from './preprocessing.js';
import { type WarmStart, warmStartOf } from './warmStart.js';

/** The classifier with its fresh layers, and what a policy chooses of it. */
export interface Chosen {
  readonly classifier: Classifier;
  readonly preprocessing: Preprocessing;
  /** What there is to say of the preprocessing. */
  readonly told: Omit<StatedPreprocessing, 'preprocessing'>;
  readonly blocks: readonly Block[];
  readonly choice: LayerChoice;
  readonly fresh: { readonly layers: readonly Layer[]; readonly hidden: HiddenLayer[] };
  /** Layers that train, as the manifest has them. */
  readonly layers: Manifest['layers'];
  /** Factors for the learning rates of parameters, by their names. */
  readonly multipliers: ReadonlyMap<string, number>;
  readonly reshapes: Manifest['reshapes'];
  readonly warmStart: WarmStart;
}

/** A model, read as a classifier of images. */
export type Understood = Pick<Chosen, 'classifier' | 'preprocessing' | 'told' | 'blocks' | 'warmStart'>;

/** Reads a model as a classifier of images, and finds its blocks. @throws UserError where it is none. */
export function understand(model: ModelFile, options: FilledOptions): Understood {
  const { asked, usual } = sideOf(model, options);
  const classifier = classifierOf(model, asked, usual);
  refuseSigmoid(classifier, options.task);
  const { preprocessing, ...told } = preprocessingOf(model, options, classifier.imageSize);
  separateStatistics(classifier.graph);
  const blocks = findBlocks(classifier.graph, classifier.layers);
  return { classifier, preprocessing, told, blocks, warmStart: warmStartOf(model, options) };
}

/** Chooses what trains, and gives the graph its fresh layers and its preprocessing. @throws UserError `bad-policy`. */
export function choose(understood: Understood, policy: Policy, options: FilledOptions): Chosen {
  const { classifier, preprocessing, blocks, warmStart } = understood;
  const choice = chooseLayers(policy, classifier.layers, blocks);
  const fresh = insertHiddenLayers(classifier, options.hidden, options.seed);
  const reshapes = replaceHead(classifier, options.classes.length, options.seed, warmStart);
  beginAtLogOdds(classifier, options.labelShares, warmStart);
  prependPreprocessing(classifier, preprocessing);
  const layers = layersOf(choice, fresh).map(({ kind, name, parameters }) => ({
    kind,
    name,
    parameters: parameters.map((value) => value.name),
  }));
  const multipliers = multipliersOf(layers, options.learningRateMultipliers);
  return { ...understood, choice, fresh, layers, multipliers, reshapes };
}

/** The layers that train, from input to head. The head stands for all that is new: F1 trains its hidden layers too. */
export function layersOf({ layers }: LayerChoice, fresh: Chosen['fresh']): readonly Layer[] {
  return layers.toSpliced(-1, 0, ...fresh.layers);
}
