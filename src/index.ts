/**
 * What a program can do with ort-tl. Whatever runs for long is an async generator: it gives events, then its result ({@link resultOf}).
 * @module
 */

// Train the chosen layers of a model on photos.
export { type ModelFile, readModel, writeModel } from './onnx/model.js';
export { resolveModel, type ResolveOptions } from './hub/resolveModel.js';
export type { ModelEvent, ResolvedModel } from './hub/modelEvents.js';
export { type KnownModel, knownModels } from './hub/pulledModels.js';
export { openDataset } from './data/openDataset.js';
export type { Contents, Dataset, OpenOptions } from './data/dataset.js';
export type { Photo, PhotoContent, Unlabelled } from './data/photo.js';
export type { LeftOut } from './data/leftOut.js';
export { imbalanceLine } from './data/classBalance.js';
export {
  survey,
  type Survey,
  type SurveyedClass,
  type SurveyedPhoto,
  type SurveyEvent,
  type SurveyOptions,
} from './survey/survey.js';
export type { Together } from './survey/together.js';
export { Trainer } from './train/trainer.js';
export type { TrainOptions } from './train/trainOptions.js';
export type { EpochResult, Summary, TrainEvent } from './train/events.js';
export { computeFeatures, type FeatureOptions, type FeatureSummary } from './train/computeFeatures.js';
export type { ClassMetrics, Metrics } from './train/metrics.js';
export { wilson95 } from './train/wilson.js';
export { type Optimizer, optimizerCalled, optimizers } from './optim/optimizer.js';
export type { ClassWeights } from './optim/stepSettings.js';
export type { Augmentation } from './data/augment/augmentation.js';
export { resultOf } from './resultOf.js';
export { ImageFolder } from './data/imageFolder.js';

// Train a head again and again, while photos come and go.
export { LiveHead, type LiveHeadResult } from './train/liveHead.js';
export type { LiveHeadEvent } from './train/liveHeadEvents.js';
export type { LiveHeadOptions } from './train/openHead.js';
export type { HeadPrediction } from './train/headTraining.js';

// Train on devices that share parameters and no photos.
export { fit, type FitOptions } from './fit/fitArtifacts.js';
export type { FitEvent } from './fit/deviceTraining.js';
export { type FitMetrics, type FitReport, type FitResult, writeFit } from './fit/fitReport.js';
export { federationFingerprint, readParameters, type SharedParameters } from './fit/federation.js';

// Find how many layers are worth training.
export { recommend } from './recommend/recommendPolicy.js';
export type { PolicyReport, Recommendation, RecommendEvent, RecommendOptions } from './recommend/recommendation.js';

// Use what was trained.
export { ImageClassifier, type KnownOfModel, type LoadOptions } from './runtime/classifier.js';
export { predict, predictAll, type ScoredClass } from './train/predictPhoto.js';
export { evaluate, type EvaluateEvent, type EvaluateOptions, type Evaluation } from './train/evaluate.js';
export { type Explanation, PhotoExplainer } from './train/photoExplainer.js';
export { findPhotos, type FoundPhotos, photosInZip } from './data/findPhotos.js';

// Export it.
export { type Learned, readLearned, encodeTuned } from './export/run.js';
export { type ExportedModel, exportModel, type ExportOptions, type ExportProgress } from './export/exportModel.js';
export type { InferenceOptions } from './export/inferenceModel.js';
export type { Parity } from './export/parity.js';
export { webFolder, type WebOptions } from './export/webFolder.js';
export { applyDelta, type Delta, encodeDelta, readDelta } from './export/delta.js';

// Compile without training: artifacts for other trainers, what a policy costs.
export { compile, type Compiled } from './artifacts/compile.js';
export type { CompileOptions } from './artifacts/compileOptions.js';
export { writeArtifacts } from './artifacts/artifactFiles.js';
export { type Artifacts, loadArtifacts } from './artifacts/load.js';
export type { Manifest, Preprocessing } from './artifacts/manifest.js';
export type { StatedPreprocessing } from './artifacts/preprocessing.js';
export { compileOnDevice, type OnDeviceArtifacts } from './artifacts/onDevice.js';
export { readOnDeviceCheckpoint, writeOnDeviceArtifacts } from './artifacts/onDeviceFiles.js';
export { tunedModel } from './artifacts/tunedModel.js';
export {
  type BufferReport,
  inspect,
  type InspectOptions,
  type InspectReport,
  type LayerReport,
} from './artifacts/inspectModel.js';
export { parsePolicy, type Policy, policyFileName } from './policy/policy.js';

// Measure, and compare.
export { measureCommand } from './bench/measureCommand.js';
export type { Measurement, MeasureOptions } from './bench/command/measurement.js';
export { findMeter, type Meter, type MeterOptions } from './energy/meter.js';
export { readSuite } from './bench/suiteFile/readSuite.js';
export type { Suite } from './bench/suite.js';
export { SuiteSession, type SuiteSessionOptions } from './bench/suiteSession.js';
export { mergeShards, type MergedSuite } from './bench/mergeShards.js';
export type { Shard } from './shard.js';
export type { SuiteEvent } from './bench/suiteEvents.js';
export { writeSuiteReport } from './bench/suiteReport.js';
export { type ComparedRun, readRuns } from './bench/comparedRun.js';
export { compareRuns, type Comparison } from './bench/comparison.js';
export { comparisonPage } from './bench/comparisonPage.js';

// The machine, and what goes wrong.
export { probeProviders, type Provider, type ProviderState, providerNames } from './runtime/providers.js';
export { UserError } from './errors.js';
export { packageVersion } from './version.js';

// Keep photos in class folders.
export { classFolderName } from './data/classFolderName.js';
export { type ClassPlaces, findClassPlaces } from './data/classPlaces.js';
export { photoFileName } from './data/photoFileName.js';
export { previewOf, type PreviewOptions } from './data/preview.js';
export { readPhoto } from './data/readPhoto.js';

// Pictures to try things on.
export { drawPictures, type PictureOptions, drawingPictures } from './data/pictures.js';
