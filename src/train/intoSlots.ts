import type { Engine } from '../runtime/engine.js';

/** A photo on its way into a slot: with its pixels, unless the cache has what becomes of them, and its key in there, where there is one. */
export interface Arriving {
  readonly slot: number;
  readonly label: number;
  readonly pixels?: Uint8Array | undefined;
  readonly key?: string | undefined;
}

/**
 * Runs the frozen part on photos, or takes its results from the cache, and keeps them, and the labels, in their slots. Gives the places in
 * `photos` of those whose rows in the cache are damaged.
 */
export async function intoSlots(engine: Engine, photos: readonly Arriving[]): Promise<number[]> {
  const decoded = photos.filter(({ pixels }) => pixels);
  const remembered = photos.filter(({ pixels }) => !pixels);
  const slotsOf = (some: readonly Arriving[]) => Int32Array.from(some, ({ slot }) => slot);
  const labelsOf = (some: readonly Arriving[]) => some.map(({ label }) => label);
  const keysOf = (some: readonly Arriving[]) => some.flatMap(({ key }) => key ?? []);
  if (decoded.length > 0) {
    const images = decoded.flatMap(({ pixels }) => pixels ?? []);
    const keys = keysOf(decoded);
    await engine.store(slotsOf(decoded), labelsOf(decoded), images, keys.length > 0 ? keys : undefined);
  }
  if (remembered.length === 0) return [];
  const lost = await engine.recall(slotsOf(remembered), labelsOf(remembered), keysOf(remembered));
  const lostPhotos = new Set(lost.map((n) => remembered[n]));
  return [...photos.keys()].filter((place) => lostPhotos.has(photos[place]));
}
