import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FILES, writeArtifacts } from '../artifacts/artifactFiles.js';
import type { Manifest } from '../artifacts/manifest.js';
import { checkSpace } from '../cache/cacheFolder.js';
import type { Dataset } from '../data/dataset.js';
import { decoderVersion } from '../data/decode.js';
import { readSafetensors } from '../onnx/safetensors.js';
import type { Tensor } from '../onnx/tensor.js';
import { Opened } from '../opened.js';
import { stepSettings } from '../optim/stepSettings.js';
import { Engine } from '../runtime/engine.js';
import { temporaryFolder } from '../temporary.js';
import { startCompiling } from './compiler.js';
import { compileWithin, type Planning } from './compileWithin.js';
import { checkMemory } from './fillSlots.js';
import { LiveFeatures } from './liveFeatures.js';
import { checkLearning } from './liveHeadEvents.js';
import { type Settings, settingsOf, type TrainOptions } from './trainOptions.js';

/** What a {@link LiveHead} is told: what a training of the same name is, and its defaults are those. */
export type LiveHeadOptions = Pick<TrainOptions, 'model' | 'cache' | 'threads' | 'preprocessing' | 'seed' | 'epochs'>;

/** A head that was compiled for the classes of a data set. */
export interface CompiledHead {
  readonly manifest: Manifest;
  readonly settings: Settings;
  /** The state that a training begins with. */
  readonly initial: ReadonlyMap<string, Tensor>;
  /** The bytes of the evaluation graph. */
  readonly evaluation: Uint8Array;
}

/** Room for so many photos is made at first, or for as many more as there are. */
const LEAST_ROOM = 256;

/** The engine of a head, which stays open while photos and classes change. */
export class OpenHead {
  private constructor(
    readonly engine: Engine,
    readonly features: LiveFeatures,
    private compiled: CompiledHead,
    private readonly folder: string,
    private readonly opened: Opened,
  ) {}

  /** @throws UserError what compiling and opening an engine throw, `cache-full`, `too-little-memory`, `stopped`. */
  static async open(options: LiveHeadOptions, dataset: Dataset, signal: AbortSignal): Promise<OpenHead> {
    const opened = new Opened();
    try {
      const temporary = opened.add(temporaryFolder(), (each) => each.remove());
      const folder = join(temporary.path, 'artifacts');
      const compiled = await compileFirst(options, dataset, folder, signal);
      const { manifest, settings } = compiled;
      const photos = dataset.train.length + dataset.val.length;
      checkMemory(manifest, photos);
      const slots = Math.max(LEAST_ROOM, 2 * photos);
      const { cache } = options;
      if (cache !== undefined) await checkSpace(cache, 0);
      const kept =
        cache === undefined ? {} : { cache: { folder: cache, decoder: decoderVersion, inMemoryBytes: Infinity } };
      const { threads, provider } = settings;
      const starting = Engine.start(folder, { slots, threads, provider, ...kept });
      const engine = opened.add(await starting, (each) => each.close());
      checkLearning(signal);
      const cached = await engine.cacheState();
      const features = new LiveFeatures(engine, manifest, slots, cached && new Set(cached.keys));
      return new OpenHead(engine, features, compiled, folder, opened);
    } catch (thrown) {
      await opened.close();
      throw thrown;
    }
  }

  get head(): CompiledHead {
    return this.compiled;
  }

  /** Has a head for the classes of `dataset`. Gives whether it has: not where the model's frozen part is another one for them. */
  async suit(options: LiveHeadOptions, dataset: Dataset, signal: AbortSignal): Promise<boolean> {
    const before = this.compiled.manifest;
    if (isSame(before.classes, dataset.classes)) return true;
    const compiled = await compileAgain(options, dataset, this.folder, before);
    if (compiled.manifest.files[FILES.frozen] !== before.files[FILES.frozen]) return false;
    checkLearning(signal);
    await this.engine.exchange(this.folder);
    this.compiled = compiled;
    return true;
  }

  close(): Promise<void> {
    return this.opened.close();
  }
}

const isSame = (some: readonly string[], others: readonly string[]) =>
  some.length === others.length && some.every((each, index) => each === others[index]);

/** Compiles a head into `folder`. */
async function compileFirst(
  options: LiveHeadOptions,
  dataset: Dataset,
  folder: string,
  signal: AbortSignal,
): Promise<CompiledHead> {
  const planning = planningOfHead(options, dataset);
  const compiling = await startCompiling(options.model, planning, signal);
  try {
    checkLearning(signal);
    return compiledIn(folder, await compiling.write(folder), planning.settings);
  } finally {
    compiling.close();
  }
}

/**
 * Compiles a head for other classes than `before` into the same folder: in this process, which takes a tenth of the time that another one
 * takes to start and to hold it against the source model.
 */
async function compileAgain(
  options: LiveHeadOptions,
  dataset: Dataset,
  folder: string,
  before: Manifest,
): Promise<CompiledHead> {
  const planning = planningOfHead(options, dataset);
  const { compiled } = await compileWithin(options.model, { ...planning, isChecked: true });
  // Nothing else of what lies there is sure to be what was compiled before: whoever stopped it has written it anew.
  const there = Object.fromEntries(Object.entries(before.files).filter(([name]) => name === FILES.frozen));
  return compiledIn(folder, await writeArtifacts(compiled, folder, there), planning.settings);
}

function compiledIn(folder: string, manifest: Manifest, settings: Settings): CompiledHead {
  const { tensors: initial } = readSafetensors(join(folder, FILES.checkpoint));
  return { manifest, settings, initial, evaluation: readFileSync(join(folder, FILES.evaluation)) };
}

/** What a training of the head alone has, but for a batch that photos, of which there may be more later, do not fill: that is filled up. */
function planningOfHead(options: LiveHeadOptions, dataset: Dataset): Planning {
  const batch = stepSettings.batch.parse(undefined);
  const settings = { ...settingsOf({ ...options, dataset, policy: 'F1C0' }), batch, microBatch: batch };
  return { settings, classes: dataset.classes, parallel: 'auto' };
}
