import { availableParallelism } from 'node:os';
import { loadArtifacts } from '../artifacts/load.js';
import type { Dataset } from '../data/dataset.js';
import { UserError } from '../errors.js';
import { type Given, settle } from '../settings.js';
import { parametersOf } from '../train/evaluatedState.js';
import { defaultLearningRate } from '../train/trainOptions.js';
import { packageVersion } from '../version.js';
import { DeviceTraining, type FitEvent, type Learnable } from './deviceTraining.js';
import { checkedParameters, federationFingerprint, sharedBytes, type SharedParameters } from './federation.js';
import { FitEnergy, type FitMeter } from './fitEnergy.js';
import type { FitReport, FitResult } from './fitReport.js';
import { fitSettings } from './fitSettings.js';
import { countsByClass, withClassesOf } from './sharePhotos.js';

/** What training on a device is told. */
export interface FitOptions extends Given<typeof fitSettings>, FitMeter {
  /** A folder of artifacts, as `ort-tl compile` writes them. */
  readonly artifacts: string;
  /** Photos of some of their classes, opened for measuring; without them `epochs` is 0. */
  readonly dataset?: Dataset;
  /** What it begins with; default what the artifacts have. */
  readonly parameters?: SharedParameters;
  /** Ends it: nothing is learned then. */
  readonly signal?: AbortSignal;
}

/**
 * Trains the parameters of compiled artifacts on a device's photos, a few epochs from those that it is given, as a round of a federation does.
 * Of the network, only what trains changes, so the features of photos that are in the cache are computed no more. The optimizer keeps nothing
 * between two calls. Same parameters, photos, seed and threads: same bits.
 * @throws UserError `bad-artifacts`, `bad-parameters`, `not-finite`, `unknown-class`, `no-photos`, `diverged`, `stopped`, `cache-full`.
 */
export async function* fit(options: FitOptions): AsyncGenerator<FitEvent, FitResult> {
  const began = performance.now();
  const learnable = learnableOf(options);
  const { manifest, settings, given } = learnable;
  const energy = await FitEnergy.start(options);
  try {
    const training = new DeviceTraining(learnable, options.artifacts, options.signal);
    const done = yield* training.run();
    const parameters = done.state ? parametersOf(manifest, done.state) : given;
    const report: FitReport = {
      format: 1,
      version: packageVersion,
      fingerprint: federationFingerprint(manifest),
      ...{ policy: manifest.policy, task: manifest.task, classes: manifest.classes },
      photos: {
        train: done.trainPhotos.length,
        val: done.valPhotos,
        byClass: countsByClass(manifest.classes, done.trainPhotos),
      },
      skipped: done.skipped,
      epochs: settings.epochs,
      learningRate: learnable.learningRate,
      ...{ optimizer: manifest.optimizer.name, batch: manifest.batch },
      ...{ proximal: settings.proximal, seed: settings.seed, steps: done.steps },
      ...{ trainLoss: done.trainLoss, before: done.before, after: done.after },
      features: done.features,
      seconds: { total: (performance.now() - began) / 1000, ...done.seconds },
      ...(options.dataset ? await energy.stop() : { joules: null, energyNotMeasured: 'no photos were given' }),
      parameterBytes: sharedBytes(manifest),
    };
    return { report, parameters };
  } finally {
    energy.close();
  }
}

/** What is to be trained, checked. @throws UserError before anything is read of the photos. */
function learnableOf({ artifacts, dataset, parameters, ...options }: FitOptions): Learnable {
  const settings = settle(fitSettings, options);
  const { manifest, state } = loadArtifacts(artifacts);
  const { epochs, warmupEpochs, learningRate, threads } = settings;
  if (!dataset && epochs > 0)
    throw new UserError(
      'bad-arguments',
      'expected photos to train with (‹data›), or ‹epochs› 0 to give back parameters',
    );
  if (warmupEpochs > epochs)
    throw new UserError(
      'bad-arguments',
      `expected a part of the ${epochs} epochs, 0 or more, got \`${warmupEpochs}\` (‹warmupEpochs›)`,
    );
  return {
    manifest,
    settings: { ...settings, threads: threads > 0 ? threads : availableParallelism() },
    learningRate: learningRate ?? defaultLearningRate(manifest.optimizer, manifest.policy),
    given: parameters ? checkedParameters(parameters, manifest, 'what was given') : parametersOf(manifest, state),
    dataset: dataset && withClassesOf(manifest, dataset),
  };
}
