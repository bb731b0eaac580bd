import type { Manifest } from '../artifacts/manifest.js';
import { compiledHere, startCompiling } from './compiler.js';
import { compileWithin, type Planning } from './compileWithin.js';
import type { TrainEvent } from './events.js';
import { quantizeFrozen } from './quantizeFrozen.js';
import type { Settings, TrainOptions } from './trainOptions.js';

/** Where artifacts are written. */
export interface ArtifactsPlace {
  /** Called once the model is compiled, which leaves nothing behind where it fails. Gives the folder. */
  readonly folder: () => string;
  /** How the frozen part was quantized before, where that is to be kept. */
  readonly quantized?: Manifest['frozen'] | undefined;
}

/** Artifacts of a training, with the settings that fit into the memory. */
export interface Compilation {
  readonly manifest: Manifest;
  readonly settings: Settings;
}

/**
 * Compiles a training, its frozen part in whole numbers where the settings say so, and writes the artifacts. What was compiled is let go
 * of: it is large.
 * @throws UserError as {@link startCompiling} does, `write-failed`, `stopped`.
 */
export async function* compileInto(
  { model, dataset, memoryBytes, signal }: Pick<TrainOptions, 'model' | 'dataset' | 'memoryBytes' | 'signal'>,
  planning: Planning,
  place: ArtifactsPlace,
): AsyncGenerator<TrainEvent, Compilation> {
  const isQuantized = planning.settings.frozen === 'int8';
  const inFloat = isQuantized ? await compileWithin(model, planning) : undefined;
  let compiling = inFloat
    ? compiledHere(inFloat.compiled, inFloat.settings)
    : await startCompiling(model, planning, signal);
  const { settings } = compiling;
  try {
    const folder = place.folder();
    if (inFloat) {
      const told = { ...settings, memoryBytes };
      const quantized = yield* quantizeFrozen(inFloat.compiled, dataset, told, place.quantized, signal);
      compiling = compiledHere(quantized, settings);
    }
    return { manifest: await compiling.write(folder), settings };
  } finally {
    compiling.close();
  }
}
