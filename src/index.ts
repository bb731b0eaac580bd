export { compile, type Compiled, type CompileOptions, writeArtifacts } from './artifacts/compile.js';
export { inspect, type InspectOptions, type InspectReport, type LayerReport } from './artifacts/inspect.js';
export { type Artifacts, loadArtifacts } from './artifacts/load.js';
export type { Manifest, Preprocessing } from './artifacts/manifest.js';
export type { Dataset, OpenOptions, Photo } from './data/dataset.js';
export { openImageFolder } from './data/imageFolder.js';
export { openDataset } from './data/openDataset.js';
export type { Preset } from './data/preprocessing.js';
export { drawPictures } from './data/pictures.js';
export { UserError } from './errors.js';
export { tunedModel } from './artifacts/tunedModel.js';
export { type ModelFile, readModel, writeModel } from './onnx/model.js';
export type { StepOptions } from './artifacts/stepOptions.js';
export { type LearningRateMultiplier, parseMultipliers } from './optim/learningRates.js';
export type { Objective } from './optim/loss.js';
export {
  type Adam,
  type AdamW,
  type Lamb,
  type Lars,
  type Optimizer,
  optimizers,
  type RmsProp,
  type Sgd,
} from './optim/optimizer.js';
export { ImageClassifier } from './runtime/classifier.js';
export type { EpochResult, Summary, TrainEvent } from './train/events.js';
export type { TrainOptions } from './train/options.js';
export { Trainer } from './train/trainer.js';
