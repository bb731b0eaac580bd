// Compiling.
export { writeArtifacts } from './artifacts/artifactFiles.js';
export { compile, type Compiled } from './artifacts/compile.js';
export type { CompileOptions } from './artifacts/compileOptions.js';
export { inspect, type InspectOptions, type InspectReport, type LayerReport } from './artifacts/inspectModel.js';
export { type Artifacts, loadArtifacts, readManifest } from './artifacts/load.js';
export { checkArtifactsPlace } from './artifacts/artifactsPlace.js';
export type { Manifest, Preprocessing } from './artifacts/manifest.js';
export { compileOnDevice, type OnDeviceArtifacts } from './artifacts/onDevice.js';
export { readOnDeviceCheckpoint, writeOnDeviceArtifacts } from './artifacts/onDeviceFiles.js';
export { type PreprocessingOptions, type Preset, PRESETS } from './artifacts/preprocessing.js';
export { type TunedManifest, tunedModel } from './artifacts/tunedModel.js';
export { filesOf, type ModelFile, readModel, writeModel } from './onnx/model.js';
export type { ModelProto } from './onnx/onnx_pb.js';
export type { DType, Tensor, TensorData } from './onnx/tensor.js';
export type { TrainingCheckpoint } from './onnx/trainingCheckpoint.js';
export { type LearningRateMultiplier, parseMultipliers } from './optim/learningRates.js';
export type { Objective } from './optim/loss.js';
export { type Optimizer, optimizerCalled, optimizers } from './optim/optimizer.js';
export type { ClassWeights } from './optim/stepSettings.js';
export { parsePolicy, type Policy, policyFileName } from './policy/policy.js';

// Photos.
export { type Augmentation, mixesPhotos, parseAugmentation, variesPhotos } from './data/augment/augmentation.js';
export { balancedClassWeights } from './data/classBalance.js';
export type { CifarOptions } from './data/cifar.js';
export type { CifarRecord, Photo, Unlabelled, ZipEntry } from './data/photo.js';
export type { Contents, Dataset, OpenOptions } from './data/dataset.js';
export { decodePixels } from './data/decode.js';
export type { DuplicateCounts } from './data/duplicates.js';
export { findPhotos, type FoundPhotos } from './data/findPhotos.js';
export { type InputPhotos, readInput } from './data/inputPhotos.js';
export { ImageFolder } from './data/imageFolder.js';
export type { LeftOut } from './data/leftOut.js';
export { openDataset } from './data/openDataset.js';
export { drawingPictures, drawPictures, type Drawn, type PictureOptions } from './data/pictures.js';

// What the frozen part gives, kept on disk.
export { type CacheEntry, defaultCacheFolder, listCache, prunable, removeFromCache } from './cache/cacheFolder.js';

// Training.
export { type CalibrationMethod, calibrationMethods } from './quantize/calibration.js';
export { type ScheduleName, scheduleCalled, scheduleNames } from './optim/schedule.js';
export type { Agreement } from './train/agreement.js';
export { hasCheckpoint } from './train/checkpoint.js';
export type { EndedBy, EpochResult, FinalPart, PhotoAccount, Summary, TrainEvent } from './train/events.js';
export { type ClassMetrics, type MetricName, metricNames, type Metrics } from './train/metrics.js';
export {
  incidentalFlags,
  readTrainFlags,
  type TrainFlags,
  trainFlagSettings,
  type TrainOptions,
} from './train/options.js';
export { type Flag, flagsOf, type FlagKind, helpOf, settleFlags, type Shape } from './settings.js';
export { compileFlagSettings, compileSettings, headSettings } from './artifacts/compileSettings.js';
export { dataSettings } from './data/dataSettings.js';
export { stepSettings, weightsOfClasses } from './optim/stepSettings.js';
export { machineSettings } from './train/runSettings.js';
export { recommendFlagSettings } from './recommend/recommendSettings.js';
export type { Move, PlaceChange } from './train/trainingPlace.js';
export { checkRunFolder, isRun, runFilesIn, settleRun } from './train/runFiles.js';
export { runName, Trainer } from './train/trainer.js';

// How many layers to train.
export { nestedPolicies, recommend } from './recommend/recommendPolicy.js';
export type { PolicyReport, Recommendation, RecommendEvent, RecommendOptions } from './recommend/recommendation.js';

// What was trained.
export { applyDelta, type Delta, encodeDelta, readDelta } from './export/delta.js';
export { exportModel, type ExportedModel, type ExportOptions, type ExportProgress } from './export/exportModel.js';
export { type InferenceOptions, type Precision, precisions } from './export/inferenceModel.js';
export type { Parity } from './export/parity.js';
export { encodeTuned, type Learned, readLearned } from './export/run.js';
export { checkWebFolder, webFolder, type WebOptions } from './export/webFolder.js';
export { ImageClassifier, type ImageSize, type LoadOptions } from './runtime/classifier.js';
export { evaluate, type EvaluateEvent, type EvaluateOptions, type Evaluation } from './train/evaluate.js';
export { checkPictures, type Explanation, PhotoExplainer } from './train/photoExplainer.js';
export { predict, type ScoredClass } from './train/predictPhoto.js';

// Runs side by side.
export { type ComparedEpoch, type ComparedRun, type ComparedValues, readRuns } from './bench/comparedRun.js';
export {
  type ComparedQuantity,
  comparedQuantities,
  compareRuns,
  type Comparison,
  type Difference,
  type Mean,
  type RunGroup,
} from './bench/comparison.js';
export { comparisonPage, type ComparisonTable } from './bench/comparisonPage.js';

// Suites of trainings.
export { type Machine, describeMachine } from './bench/machine.js';
export { modelPath } from './bench/models.js';
export type { RunResult } from './bench/runResult.js';
export {
  type CacheState,
  type Suite,
  type SuiteData,
  type SuiteModel,
  type SuiteRow,
  type TrainSettings,
} from './bench/suite.js';
export { readSuite } from './bench/suiteFile/readSuite.js';
export type { OtherPlaces } from './bench/suiteFile/suiteRows.js';
export type { PaperFigures } from './bench/suiteFile/suiteSchema.js';
export type { Forecast, SuiteEvent } from './bench/suiteEvents.js';
export { writeSuiteReport } from './bench/suiteReport.js';
export type { RunOutcome, SuiteResults } from './bench/suiteResults.js';
export type { SuiteRun } from './bench/suiteRuns.js';
export { SuiteSession, type SuiteSessionOptions } from './bench/suiteSession.js';

// The machine.
export { decoderVersion, sharpVersion } from './data/decode.js';
export type { Measurement, MeasureOptions } from './bench/command/measurement.js';
export { measureCommand } from './bench/measureCommand.js';
export { type Spread, spreadOf } from './bench/statistics.js';
export {
  type EnergyChoice,
  energyChoices,
  type EnergyReading,
  type EnergySource,
  findMeter,
  type IdleBaseline,
  measureIdle,
  type Meter,
  type MeterAccess,
  type MeterOptions,
  withIdle,
} from './energy/meter.js';
export {
  type Provider,
  type ProviderState,
  probeProviders,
  providerCalled,
  providerNames,
  runtimeVersion,
} from './runtime/providers.js';

export { UserError } from './errors.js';
export { type FileContent, writeFileAtomically, writeFilesAtomically } from './files.js';
export { checkUnlocked, type FolderLock, lockFolder, whileLocked } from './lock.js';
export { resultOf } from './resultOf.js';
export { packageVersion } from './version.js';
