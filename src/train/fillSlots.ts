import type { Manifest } from '../artifacts/manifest.js';
import { augmentPixels, randomOfView } from '../data/augment/augment.js';
import { type Augmentation, mixesPhotos } from '../data/augment/augmentation.js';
import { mix } from '../data/augment/mix.js';
import { targetRows } from '../data/labels.js';
import type { Photo } from '../data/photo.js';
import { decodeContent } from '../data/decode.js';
import type { Duplicates } from '../data/duplicates.js';
import { centredView } from '../data/geometry.js';
import { contentHash, readPhoto } from '../data/readPhoto.js';
import { PhotoReader } from '../data/photoReader.js';
import type { SkippedPhotos } from '../data/skippedPhotos.js';
import { UserError } from '../errors.js';
import { sha256 } from '../files.js';
import { joined } from '../joined.js';
import { memoryBytes } from '../memoryLimit.js';
import { Random } from '../random.js';
import type { Engine } from '../runtime/engine.js';
import type { TrainEvent } from './events.js';
import { HANDED_OVER, HandingOver } from './handingOver.js';
import { intoSlots } from './intoSlots.js';

/** Photos in consecutive slots, and which random view of each; none for the photo as it is. */
export interface Filling {
  readonly photos: readonly Photo[];
  readonly firstSlot: number;
  /** Places in `photos`, in their order, where not all are to be filled. */
  readonly only?: readonly number[];
  readonly view?: { readonly number: number; readonly seed: number; readonly augmentation: Augmentation };
  /** Rows [slots, classes] that get the targets of photos that are mixed; required where the view mixes them. */
  readonly targets?: Float32Array;
}

/** So many features were computed from photos, and so many were taken from the cache. */
export interface FeatureTally {
  computed: number;
  kept: number;
}

export interface FillOptions {
  readonly skipped: SkippedPhotos;
  /** Sees what is read. */
  readonly duplicates?: Duplicates;
  /** How many photos the data set has. */
  readonly total: number;
  /** The share of them that may be unreadable. */
  readonly maxBad: number;
  readonly signal: AbortSignal | undefined;
  /** Ends it too, where it is given. */
  readonly isTimeUp?: (() => boolean) | undefined;
  readonly epoch: number;
  /** Keys that the engine's cache has something for; absent where there is no cache. */
  readonly cached?: ReadonlySet<string> | undefined;
  /** Counts what was done. */
  readonly tally?: FeatureTally;
}

/** A photo that was read: its pixels, unless the cache has what becomes of them, and its key in there. */
interface Decoded {
  readonly pixels?: Uint8Array;
  readonly key?: string;
}

interface Slotted extends Decoded {
  readonly index: number;
  readonly photo: Photo;
}

/**
 * Runs the frozen part on photos, or takes its results from the cache, and keeps them, and the labels, in the engine's slots.
 * Gives the slots that are filled, in their order.
 * @throws UserError `stopped` when the signal fires or the time is up, and what `skipped` throws when too many cannot be read.
 */
export async function* fillSlots(
  engine: Engine,
  filling: Filling,
  manifest: Manifest,
  options: FillOptions,
): AsyncGenerator<TrainEvent, number[]> {
  const { photos, firstSlot } = filling;
  const { skipped, duplicates, signal, isTimeUp, cached } = options;
  const filled: number[] = [];
  const checkStopped = () => {
    if (signal?.aborted || isTimeUp?.()) throw new UserError('stopped', 'stopped while reading the photos');
  };
  /** Places of photos whose rows in the cache turned out to be damaged. */
  const damaged: number[] = [];

  async function* fill(places: readonly number[], known: ReadonlySet<string> | undefined): AsyncGenerator<TrainEvent> {
    const mostSent = 1 + Math.ceil(engine.photosAtOnce / HANDED_OVER);
    const handing = new HandingOver<Slotted>(mostSent, async (batch) => {
      const lost = await send(engine, filling, manifest, batch);
      const computed = batch.filter(({ pixels }) => pixels).length;
      if (options.tally) {
        options.tally.computed += computed;
        options.tally.kept += batch.length - computed - lost.length;
      }
      damaged.push(...lost);
    });
    const reader = new PhotoReader((photo) =>
      read(photo, filling, manifest, cached && (known ?? new Set()), duplicates),
    );
    const some = places.flatMap((place) => photos[place] ?? []);
    for await (const each of reader.read(some, manifest.preprocessing, { concurrency: 2 * HANDED_OVER })) {
      const { index, photo } = each;
      if ('error' in each) {
        const reason = each.error.message;
        if (!skipped.add(photo, reason)) continue;
        skipped.check(options.total, options.maxBad);
        yield { type: 'skipped', path: photo.path, reason };
        continue;
      }
      checkStopped();
      const place = places[index] ?? 0;
      await handing.add({ index: place, photo, ...each.decoded });
      filled.push(firstSlot + place);
      if (filled.length % HANDED_OVER === 0 || index === some.length - 1)
        yield {
          type: 'progress',
          phase: 'reading photos',
          epoch: options.epoch,
          done: place + 1,
          total: photos.length,
        };
    }
    await handing.end();
  }
  yield* fill(filling.only ?? [...photos.keys()], cached);
  if (damaged.length > 0) {
    const again = new Set(damaged);
    for (const place of again) filled.splice(filled.indexOf(firstSlot + place), 1);
    yield* fill(
      [...again].sort((a, b) => a - b),
      undefined,
    );
  }
  // What was on its way when the signal fired need not have arrived.
  if (signal?.aborted) checkStopped();
  return filled.sort((a, b) => a - b);
}

/** Reads a photo, and decodes it unless its key is among those that are `known`; there is no key where there is no cache. */
async function read(
  photo: Photo,
  { view }: Filling,
  { preprocessing }: Manifest,
  known: ReadonlySet<string> | undefined,
  duplicates: Duplicates | undefined,
): Promise<Decoded> {
  const content = await readPhoto(photo);
  const hash = known || view ? contentHash(content) : '';
  // Views are of photos that train alone, so that without a cache not all have a hash.
  duplicates?.add(photo, content, known && hash);
  const key = view ? sha256(Buffer.from(JSON.stringify([hash, view]))) : hash;
  if (known?.has(key)) return { key };
  const pixels = view
    ? await augmentPixels(
        content,
        preprocessing,
        view.augmentation,
        randomOfView(view.seed, view.number, hash),
        photo.path,
      )
    : await decodeContent(content, photo.path, (size) => centredView(size, preprocessing));
  return known ? { pixels, key } : { pixels };
}

/** Hands photos to the engine. Gives the places of those whose rows in the cache are damaged. */
async function send(
  engine: Engine,
  filling: Filling,
  manifest: Manifest,
  photos: readonly Slotted[],
): Promise<number[]> {
  const mixed = mixedPixels(filling, manifest, photos);
  const arriving = photos.map((each) => ({
    slot: filling.firstSlot + each.index,
    label: each.photo.label,
    pixels: mixed.get(each) ?? each.pixels,
    key: each.key,
  }));
  const lost = await intoSlots(engine, arriving);
  return lost.flatMap((n) => photos[n]?.index ?? []);
}

/** The pixels of photos that are mixed among each other, whose targets it sets; none where the view mixes none. */
function mixedPixels(
  { firstSlot, view, targets }: Filling,
  { preprocessing, classes }: Manifest,
  photos: readonly Slotted[],
): Map<Slotted, Uint8Array> {
  const decoded = photos.filter(({ pixels }) => pixels);
  if (!view || !targets || !mixesPhotos(view.augmentation) || decoded.length === 0) return new Map();
  const { height, width } = preprocessing;
  const imageBytes = height * width * 3;
  const pixels = joined(decoded.flatMap((each) => each.pixels ?? []));
  const rows = targetRows(
    decoded.map(({ photo }) => photo),
    classes.length,
  );
  const batch = { count: decoded.length, width, height, pixels, targets: rows };
  const slots = decoded.map(({ index }) => firstSlot + index);
  const random = new Random(view.seed).fork(`mix ${view.number} of slot ${slots[0] ?? 0}`);
  const mixed = mix(batch, view.augmentation, random);
  slots.forEach((slot, n) => {
    targets.set(mixed.targets.subarray(n * classes.length, (n + 1) * classes.length), slot * classes.length);
  });
  return new Map(decoded.map((each, n) => [each, mixed.pixels.subarray(n * imageBytes, (n + 1) * imageBytes)]));
}

/** Share of the memory of the machine, or of its container, that the photos' boundary may take. */
const LARGEST_SHARE = 0.7;

/** @throws UserError `too-little-memory` when the boundary of so many photos would not fit. */
export function checkMemory({ cost, policy }: Manifest, slots: number): void {
  const [needed, largest] = [slots * cost.boundaryBytes, LARGEST_SHARE * memoryBytes()];
  if (needed <= largest) return;
  const megabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`;
  throw new UserError(
    'too-little-memory',
    `policy ${policy} keeps ${megabytes(needed)} for ${slots} photos and views, and this machine allows ${megabytes(largest)}; choose a policy that trains fewer layers, or fewer photos`,
  );
}
