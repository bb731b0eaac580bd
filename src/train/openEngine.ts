import type { Manifest } from '../artifacts/manifest.js';
import { checkSpace } from '../cache/cacheFolder.js';
import { decoderVersion } from '../data/decode.js';
import { Engine } from '../runtime/engine.js';
import type { CachedRows } from '../runtime/photoRows.js';
import type { TrainEvent } from './events.js';
import { checkMemory } from './fillSlots.js';
import { memoryShares } from './memoryShares.js';
import type { Settings, TrainOptions } from './trainOptions.js';
import { checkStopped } from './preparation.js';
import type { RunFolder } from './runFolder.js';
import { featuresReturn, makesNewViews, slotsFor } from './views.js';

/**
 * Opens the artifacts of a training, with a slot for each of its photos and their views.
 * @throws UserError `too-little-memory`, `stopped`, and as {@link Engine.start} does.
 */
export async function openEngine(
  folder: RunFolder,
  { dataset, cache: given, memoryBytes, signal }: TrainOptions,
  settings: Settings,
  manifest: Manifest,
): Promise<Engine> {
  const slots = slotsFor(dataset, settings);
  const { threads, provider } = settings;
  // New views in every epoch go through the frozen part again.
  const newViews = makesNewViews(settings);
  const images = newViews ? slots * settings.epochs : slots;
  const cache = featuresReturn(settings) ? given : undefined;
  if (cache === undefined) checkMemory(manifest, slots);
  else await checkSpace(cache, 0);
  checkStopped(signal);
  const isCached = cache !== undefined;
  const shares =
    memoryBytes === undefined ? undefined : memoryShares(manifest, { slots, memoryBytes, isCached, newViews });
  const evaluationBytes = shares?.evaluationBytes;
  const inMemory = shares && { inMemoryBytes: shares.inMemoryBytes };
  const kept = isCached ? { cache: { folder: cache, decoder: decoderVersion, ...inMemory } } : {};
  return Engine.start(
    folder.path('artifacts'),
    { slots, images, threads, provider, memoryBytes: shares?.sessionsBytes, evaluationBytes, ...kept },
    signal,
  );
}

/** What there is to tell of a cache before photos are read. @throws UserError `cache-full`. */
export async function cacheEvent({ folder, rowBytes, rows }: CachedRows, slots: number): Promise<TrainEvent> {
  const neededBytes = Math.max(0, slots - rows) * rowBytes;
  const freeBytes = await checkSpace(folder, neededBytes);
  return { type: 'cache', folder, rows, slots, rowBytes, neededBytes, freeBytes };
}
