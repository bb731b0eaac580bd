import { relative } from 'node:path';
import { loadArtifacts } from '../artifacts/load.js';
import type { Manifest } from '../artifacts/manifest.js';
import type { Dataset } from '../data/dataset.js';
import type { Photo } from '../data/photo.js';
import { UserError } from '../errors.js';
import { sha256 } from '../files.js';
import { type Identity, readLast } from './checkpoint.js';
import { compiledHere, startCompiling } from './compiler.js';
import { compileWithin, planningOf } from './compileWithin.js';
import type { Summary, TrainEvent } from './events.js';
import { summaryOfFinished } from './finishedRun.js';
import { type Settings, settingsOf, type TrainOptions } from './trainOptions.js';
import { quantizeFrozen } from './quantizeFrozen.js';
import type { RunFolder } from './runFolder.js';

/** A training whose artifacts lie in its folder. */
export interface Prepared {
  readonly manifest: Manifest;
  /** With the plan that was found for the memory. */
  readonly settings: Settings;
  readonly identity: Identity;
  /** Where a run stopped that is to go on. */
  readonly resumed: ReturnType<typeof readLast> | undefined;
}

/** @throws UserError `stopped`. */
export function checkStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new UserError('stopped', 'stopped before the training began');
}

/**
 * Compiles, writes the artifacts, and reads where a run that is to go on stopped. What was compiled is let go of: it is large. Gives only
 * the summary of a run that has ended by itself.
 */
export async function* prepare(
  folder: RunFolder,
  options: TrainOptions,
): AsyncGenerator<TrainEvent, Prepared | { readonly finished: Summary }> {
  const { dataset, model, out, signal } = options;
  checkStopped(signal);
  const planning = planningOf(options, settingsOf(options));
  // In the order in which they are compared: other photos change settings too.
  const identity: Identity = { source: model.sha256, photos: identityOf(dataset), ...planning.settings };
  const resumed = options.resume ? readLast(out, identity) : undefined;
  const finished = resumed && summaryOfFinished(out, resumed.progress.results.length);
  if (finished) return { finished };
  const isQuantized = planning.settings.frozen === 'int8';
  const inFloat = isQuantized ? await compileWithin(model, planning) : undefined;
  let compiling = inFloat
    ? compiledHere(inFloat.compiled, inFloat.settings)
    : await startCompiling(model, planning, signal);
  const { settings } = compiling;
  try {
    checkStopped(signal);
    if (!resumed) folder.begin(options.overwrite ?? false, model.path);
    if (inFloat) {
      const before = resumed ? frozenBefore(folder.path('artifacts')) : undefined;
      const quantized = yield* quantizeFrozen(
        inFloat.compiled,
        dataset,
        { ...settings, memoryBytes: options.memoryBytes },
        before,
        signal,
      );
      compiling = compiledHere(quantized, settings);
    }
    // First, since it leaves nothing behind where it fails.
    const manifest = await compiling.write(folder.path('artifacts'));
    return { manifest, settings, identity: { ...identity, ...settings }, resumed };
  } finally {
    compiling.close();
  }
}

/** How the frozen part of a run that goes on was quantized; undefined where that is lost. */
function frozenBefore(artifacts: string): Manifest['frozen'] {
  try {
    return loadArtifacts(artifacts).manifest.frozen;
  } catch (thrown) {
    if (thrown instanceof UserError) return undefined;
    throw thrown;
  }
}

/** What identifies a data set's photos, wherever it lies: a run is resumed on the same ones only. */
function identityOf({ classes, train, val, folder }: Dataset): string {
  const placeOf = ({ path, label, labels, inside }: Photo) => [relative(folder, path), labels ?? label, inside?.offset];
  return sha256(Buffer.from(JSON.stringify([classes, train.map(placeOf), val.map(placeOf)])));
}
