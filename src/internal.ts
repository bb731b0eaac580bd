/**
 * What the command line needs beside the public API. It may change at any time.
 */

export * from './index.js';

// Settings, folders, and the rest.
export { readManifest } from './artifacts/load.js';
export { checkArtifactsPlace } from './artifacts/artifactsPlace.js';
export { type PreprocessingOptions, type Preset, PRESETS } from './artifacts/preprocessing.js';
export type { TunedManifest } from './artifacts/tunedModel.js';
export { filesOf } from './onnx/model.js';
export type { ModelProto } from './onnx/onnx_pb.js';
export type { DType, Tensor, TensorData } from './onnx/tensor.js';
export type { TrainingCheckpoint } from './onnx/trainingCheckpoint.js';
export { type LearningRateMultiplier, parseMultipliers } from './optim/learningRates.js';
export type { Objective } from './optim/loss.js';
export { policyFileName } from './policy/policy.js';
export { mixesPhotos, parseAugmentation, variesPhotos } from './data/augment/augmentation.js';
export { balancedClassWeights } from './data/classBalance.js';
export type { CifarOptions } from './data/cifar.js';
export type { CifarRecord, Unlabelled, ZipEntry } from './data/photo.js';
export { decodePixels, decoderVersion, sharpVersion } from './data/decode.js';
export type { DuplicateCounts } from './data/duplicates.js';
export { type InputPhotos, readInput } from './data/inputPhotos.js';
export { type Drawn } from './data/pictures.js';
export { type CacheEntry, defaultCacheFolder, listCache, prunable, removeFromCache } from './cache/cacheFolder.js';
export { type CalibrationMethod, calibrationMethods } from './quantize/calibration.js';
export { scheduleCalled, type ScheduleName, scheduleNames } from './optim/schedule.js';
export type { Agreement } from './train/agreement.js';
export { hasCheckpoint } from './train/checkpoint.js';
export type { EndedBy, FinalPart, PhotoAccount } from './train/events.js';
export { type MetricName, metricNames } from './train/metrics.js';
export { incidentalFlags, readTrainFlags, type TrainFlags, trainFlagSettings } from './train/trainOptions.js';
export { type Flag, type FlagKind, flagsOf, helpOf, settleFlags, type Shape } from './settings.js';
export { compileFlagSettings, compileSettings, headSettings } from './artifacts/compileSettings.js';
export { dataSettings } from './data/dataSettings.js';
export { stepSettings, weightsOfClasses } from './optim/stepSettings.js';
export { machineSettings } from './train/runSettings.js';
export { recommendFlagSettings } from './recommend/recommendSettings.js';
export type { Move, PlaceChange } from './train/trainingPlace.js';
export { checkRunFolder, isRun, runFilesIn, settleRun } from './train/runFiles.js';
export { runName } from './train/trainer.js';
export { nestedPolicies } from './recommend/recommendPolicy.js';
export { type Precision, precisions } from './export/inferenceModel.js';

export { checkWebFolder } from './export/webFolder.js';
export type { ImageSize } from './runtime/classifier.js';
export { checkPictures } from './train/photoExplainer.js';
export type { ComparedEpoch, ComparedValues } from './bench/comparedRun.js';
export {
  comparedQuantities,
  type ComparedQuantity,
  type Difference,
  type Mean,
  type RunGroup,
} from './bench/comparison.js';
export type { ComparisonTable } from './bench/comparisonPage.js';
export { describeMachine, type Machine } from './bench/machine.js';
export { modelPath } from './bench/models.js';
export type { RunResult } from './bench/runResult.js';
export type { CacheState, SuiteData, SuiteModel, SuiteRow, TrainSettings } from './bench/suite.js';
export type { OtherPlaces } from './bench/suiteFile/suiteRows.js';
export type { PaperFigures } from './bench/suiteFile/suiteSchema.js';
export type { Forecast } from './bench/suiteEvents.js';
export type { RunOutcome, SuiteResults } from './bench/suiteResults.js';
export type { SuiteRun } from './bench/suiteRuns.js';
export { type Spread, spreadOf } from './bench/statistics.js';
export {
  type EnergyChoice,
  energyChoices,
  type EnergyReading,
  type EnergySource,
  type IdleBaseline,
  measureIdle,
  type MeterAccess,
  withIdle,
} from './energy/meter.js';
export { providerCalled, runtimeVersion } from './runtime/providers.js';
export { type FileContent, writeFileAtomically, writeFilesAtomically } from './files.js';
export { checkUnlocked, type FolderLock, lockFolder, whileLocked } from './lock.js';
