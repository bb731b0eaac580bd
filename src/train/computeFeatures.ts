import { join } from 'node:path';
import type { Dataset } from '../data/dataset.js';
import { UserError } from '../errors.js';
import type { Shard } from '../shard.js';
import { temporaryFolder } from '../temporary.js';
import { compileInto } from './compileInto.js';
import { planningOf } from './compileWithin.js';
import type { TrainEvent } from './events.js';
import { cacheEvent, openEngine } from './openEngine.js';
import { PhotoSlots } from './photoSlots.js';
import { checkStopped } from './preparation.js';
import { settingsOf, type TrainOptions } from './trainOptions.js';
import { featuresReturn, slotsFor } from './views.js';

/** What features are computed for: a training's options, with a cache. */
export interface FeatureOptions extends Omit<TrainOptions, 'out' | 'overwrite' | 'resume' | 'cache'> {
  /** The folder of the feature cache. */
  readonly cache: string;
  /** Which part of the photos, where others compute the rest. */
  readonly shard?: Shard;
}

/** What was done. */
export interface FeatureSummary {
  readonly policy: string;
  /** Photos of this part that could be read. */
  readonly photos: number;
  /** Photos, or views of them, whose features were computed, and those that were in the cache. */
  readonly computed: number;
  readonly kept: number;
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
  readonly seconds: number;
  /** Where the rows lie. */
  readonly folder: string;
  readonly shard?: Shard;
}

/**
 * Computes what a training with the same settings keeps of photos, or a part of them, into the cache, where that training finds it. Several
 * processes may do so at once, on several machines that share the folder.
 * @throws UserError `bad-arguments` where every epoch would have new views, `cache-full`, `too-many-unreadable`, `stopped`, and what compiling throws.
 */
export async function* computeFeatures(options: FeatureOptions): AsyncGenerator<TrainEvent, FeatureSummary> {
  const began = performance.now();
  const { signal, shard } = options;
  const settings = settingsOf(options);
  if (!featuresReturn(settings))
    throw new UserError(
      'bad-arguments',
      'every epoch of such a training has new views of the photos, whose features nobody needs again; say how many views are kept (‹views›), or leave the augmentation out',
    );
  checkStopped(signal);
  const temporary = temporaryFolder();
  try {
    const artifacts = join(temporary.path, 'artifacts');
    const planning = planningOf({ ...options, out: artifacts }, settings);
    const { manifest } = yield* compileInto(options, planning, { folder: () => artifacts });
    const { threads, provider } = settings;
    yield { type: 'compiled', manifest, threads, provider, elapsedMs: performance.now() - began };
    const dataset = shard ? partOf(options.dataset, shard) : options.dataset;
    const engine = await openEngine(artifacts, { ...options, dataset }, settings, manifest);
    try {
      const cached = await engine.cacheState();
      if (!cached) throw new Error('the engine has no cache');
      yield await cacheEvent(cached, slotsFor(dataset, settings));
      const keys = new Set(cached.keys);
      const slots = new PhotoSlots(engine, manifest, settings, dataset, { cached: keys, signal, isShare: true });
      yield { type: 'reading' };
      yield* slots.read(1);
      return {
        policy: manifest.policy,
        photos: slots.readSlots.length,
        ...slots.tally,
        skipped: slots.skipped,
        seconds: (performance.now() - began) / 1000,
        folder: cached.folder,
        ...(shard ? { shard } : {}),
      };
    } finally {
      await engine.close();
    }
  } finally {
    await temporary.remove();
  }
}

/** The photos of a shard: of all, in their order, every so many. */
function partOf(dataset: Dataset, { index, count }: Shard): Dataset {
  const { train, val } = dataset;
  return {
    ...dataset,
    train: train.filter((_, place) => place % count === index - 1),
    val: val.filter((_, place) => (train.length + place) % count === index - 1),
  };
}
