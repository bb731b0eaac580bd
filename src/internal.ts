/**
 * What the command line needs beside the public API. It may change at any time.
 */
export * from './index.js';
// Networks by name.
export { DEFAULT_MODEL } from './hub/modelRegistry.js';
export { modelHere } from './hub/resolveModel.js';
export { removeModel } from './hub/pulledModels.js';
export { parseShard, showShard } from './shard.js';
export { fitFlagSettings } from './fit/fitSettings.js';
export { checkFitPlace, FIT_FILES } from './fit/fitReport.js';
export { hubSettings } from './hub/hubSettings.js';
// Settings, folders, and the rest.
export { readManifest } from './artifacts/load.js';
export { readLabelsFile } from './artifacts/labelsMetadata.js';
export { checkArtifactsPlace } from './artifacts/artifactsPlace.js';
export { filesOf } from './onnx/model.js';
export { balancedClassWeights, balancedLabelWeights, imbalanceOf } from './data/classBalance.js';
export { openToSurvey } from './data/openDataset.js';
export { contactSheet } from './survey/contactSheet.js';
export { pairLine } from './survey/together.js';
export { sharpProblem, sharpVersion } from './data/sharp.js';
export { readInput } from './data/inputPhotos.js';
export { defaultCacheFolder } from './defaultCacheFolder.js';
export { listCache, prunable, removeFromCache } from './cache/cacheFolder.js';
export { type MergedCaches, mergeCaches } from './cache/mergeCaches.js';
export { type CalibrationMethod, calibrationMethods } from './quantize/calibration.js';
export { hasCheckpoint } from './train/checkpoint.js';
export { headlineIn, headlineOf, scoreOf } from './train/headline.js';
export {
  featureFlagSettings,
  incidentalFlags,
  readTrainFlags,
  type TrainFlags,
  trainFlagSettings,
} from './train/trainOptions.js';
export { type Flag, flagsOf, helpOf, settleFlags, type SchemaShape } from './settings.js';
export { checkFunction } from './train/functionCheck.js';
export { compileFlagSettings, compileSettings, headSettings } from './artifacts/compileSettings.js';
export { dataSettings } from './data/dataSettings.js';
export { stepSettings, weightsOfClasses } from './optim/stepSettings.js';
export { machineSettings } from './train/runSettings.js';
export { recommendFlagSettings } from './recommend/recommendSettings.js';
export { checkRunFolder, isRun, runFilesIn, settleRun } from './train/runFiles.js';
export { runName } from './train/trainer.js';
export { type Precision, precisions } from './export/inferenceModel.js';
export { thresholdsOfRun } from './export/run.js';
export { checkWebFolder } from './export/webFolder.js';
export {
  checkExpressible,
  checkTransformersJsFolder,
  transformersJsFolder,
  type TransformersJsOptions,
} from './export/transformersJsFolder.js';
export { cardForTransformersJs } from './export/transformersJsCard.js';
export { checkPictures } from './train/photoExplainer.js';
export { comparedQuantities, type ComparedQuantity, type Mean } from './bench/comparison.js';
export type { ComparisonTable } from './bench/comparisonPage.js';
export { chosenRuns, runsOf } from './bench/suiteRuns.js';
export { hashOf } from './bench/settingsOfRuns.js';
export { jobScript, type SlurmJob } from './slurm/jobScript.js';
export { sweep, type SweepEvent, type SweepState } from './slurm/sweep.js';
export type { SuiteResults } from './bench/suiteResults.js';
export type { Forecast } from './bench/suiteEvents.js';
export { type Spread, spreadOf } from './bench/statistics.js';
export { type EnergyChoice, energyChoices, type IdleBaseline, measureIdle, type MeterAccess } from './energy/meter.js';
export { providerCalled } from './runtime/providers.js';
export { runtimeProblem, runtimeVersion } from './runtime/ort.js';
export { writeFileAtomically, writeFilesAtomically } from './files.js';
export { checkUnlocked, whileLocked } from './lock.js';
export { temporaryFolder } from './temporary.js';
