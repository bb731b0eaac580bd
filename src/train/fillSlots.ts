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

/** Photos that are handed to the engine together; those that are mixed are mixed among each other. */
const HANDED_OVER = 16;

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
    let waiting: Slotted[] = [];
    /** Batches that are in the engine while the next is decoded. */
    const sent: Promise<void>[] = [];
    const mostSent = 1 + Math.ceil(engine.photosAtOnce / HANDED_OVER);
    const flush = async () => {
      const batch = waiting;
      waiting = [];
      if (sent.length >= mostSent) await sent.shift();
      const sending = send(engine, filling, manifest, batch).then((lost) => {
        damaged.push(...lost);
      });
      sending.catch(() => undefined);
      sent.push(sending);
    };
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
      if (waiting.length === HANDED_OVER) await flush();
      waiting.push({ index: place, photo, ...each.decoded });
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
    await flush();
    await Promise.all(sent);
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
  { firstSlot, view, targets }: Filling,
  { preprocessing, classes }: Manifest,
  photos: readonly Slotted[],
): Promise<number[]> {
  const decoded = photos.filter(({ pixels }) => pixels);
  const remembered = photos.filter(({ pixels }) => !pixels);
  const slotsOf = (some: readonly Slotted[]) => Int32Array.from(some, ({ index }) => firstSlot + index);
  const labelsOf = (some: readonly Slotted[]) => some.map(({ photo }) => photo.label);
  const keysOf = (some: readonly Slotted[]) => some.flatMap(({ key }) => key ?? []);
  if (decoded.length > 0) {
    const { height, width } = preprocessing;
    const imageBytes = height * width * 3;
    let images = decoded.flatMap(({ pixels }) => pixels ?? []);
    if (view && targets && mixesPhotos(view.augmentation)) {
      const count = decoded.length;
      const rows = targetRows(
        decoded.map(({ photo }) => photo),
        classes.length,
      );
      const batch = { count, width, height, pixels: joined(images), targets: rows };
      const slots = slotsOf(decoded);
      const random = new Random(view.seed).fork(`mix ${view.number} of slot ${slots[0] ?? 0}`);
      const mixed = mix(batch, view.augmentation, random);
      images = images.map((_, n) => mixed.pixels.subarray(n * imageBytes, (n + 1) * imageBytes));
      slots.forEach((slot, n) => {
        targets.set(mixed.targets.subarray(n * classes.length, (n + 1) * classes.length), slot * classes.length);
      });
    }
    const keys = keysOf(decoded);
    await engine.store(slotsOf(decoded), labelsOf(decoded), images, keys.length > 0 ? keys : undefined);
  }
  if (remembered.length === 0) return [];
  const lost = await engine.recall(slotsOf(remembered), labelsOf(remembered), keysOf(remembered));
  return lost.flatMap((n) => remembered[n]?.index ?? []);
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
