import type { Manifest } from '../artifacts/manifest.js';
import type { Engine } from '../runtime/engine.js';
import type { Settings, TrainOptions } from './trainOptions.js';
import { PhotoSlots } from './photoSlots.js';
import type { Prepared } from './preparation.js';
import { RunClock } from './runClock.js';
import type { RunFolder } from './runFolder.js';
import { newProgress, RunKeeper } from './runKeeper.js';
import { RunModels } from './runModels.js';
import { Validation } from './validation.js';

/** What a training consists of, each part with its own state. Whoever puts them together opens and closes the folder and the engine. */
export interface RunParts {
  readonly options: TrainOptions;
  readonly settings: Settings;
  readonly manifest: Manifest;
  readonly folder: RunFolder;
  readonly engine: Engine;
  readonly clock: RunClock;
  readonly slots: PhotoSlots;
  readonly validation: Validation;
  readonly keeper: RunKeeper;
  readonly models: RunModels;
}

/** Puts the parts of a prepared training together; `began` is when this call of it did, and `cached` the keys that its cache knows. */
export function partsOf(
  { manifest, settings, identity, resumed }: Prepared,
  options: TrainOptions,
  folder: RunFolder,
  engine: Engine,
  { began, cached }: { readonly began: number; readonly cached: ReadonlySet<string> | undefined },
): RunParts {
  const { dataset, signal } = options;
  const progress = resumed?.progress ?? newProgress(settings, identity);
  const clock = new RunClock(began, options, progress.elapsedMs);
  const slots = new PhotoSlots(engine, manifest, settings, dataset, { cached, signal });
  return {
    options,
    settings,
    manifest,
    folder,
    engine,
    clock,
    slots,
    validation: new Validation(engine, slots, { task: settings.task, classes: manifest.classes.length }, signal),
    keeper: new RunKeeper(progress, folder, manifest, clock, options),
    models: new RunModels(options.model, manifest, options.out),
  };
}
