import { totalmem } from 'node:os';
import type { Manifest } from '../artifacts/manifest.js';
import { decodeView } from '../data/augment/augment.js';
import { type Augmentation, mixesPhotos } from '../data/augment/augmentation.js';
import { oneHot } from '../data/augment/batch.js';
import { mix } from '../data/augment/mix.js';
import type { Photo } from '../data/dataset.js';
import { decodePhoto } from '../data/decode.js';
import { PhotoReader } from '../data/photoReader.js';
import type { SkippedPhotos } from '../data/skippedPhotos.js';
import { UserError } from '../errors.js';
import { Random } from '../random.js';
import type { Engine } from '../runtime/engine.js';
import type { TrainEvent } from './events.js';

/** Photos of one run of the frozen part. */
const FROZEN_BATCH = 16;

/** Photos in consecutive slots, and which random view of each; none for the photo as it is. */
export interface Filling {
  readonly photos: readonly Photo[];
  readonly firstSlot: number;
  readonly view?: { readonly number: number; readonly seed: number; readonly augmentation: Augmentation };
  /** Rows [slots, classes] that get the targets of photos that are mixed; required where the view mixes them. */
  readonly targets?: Float32Array;
}

/**
 * Runs the frozen part on photos and keeps its results, and the labels, in the engine's slots. Gives the slots that are filled.
 * @throws UserError `stopped` when the signal fires, and what `skipped` throws when too many cannot be read.
 */
export async function* fillSlots(
  engine: Engine,
  { photos, firstSlot, view, targets }: Filling,
  manifest: Manifest,
  options: {
    skipped: SkippedPhotos;
    /** Of all photos of the data set, how many there are and what share may be unreadable. */
    total: number;
    maxBad: number;
    signal: AbortSignal | undefined;
    epoch: number;
  },
): AsyncGenerator<TrainEvent, number[]> {
  const { preprocessing } = manifest;
  const { skipped, signal } = options;
  const imageBytes = preprocessing.height * preprocessing.width * 3;
  const filled: number[] = [];
  const events: TrainEvent[] = [];
  let pending: { slot: number; label: number; pixels: Uint8Array }[] = [];
  let stored: Promise<void> = Promise.resolve();
  // One batch is in the worker while the next is decoded.
  const flush = async () => {
    const [first] = pending;
    if (!first) return;
    let pixels = new Uint8Array(pending.length * imageBytes);
    pending.forEach((photo, index) => {
      pixels.set(photo.pixels, index * imageBytes);
    });
    const labels = pending.map(({ label }) => label);
    if (view && targets && mixesPhotos(view.augmentation)) {
      const { height, width } = preprocessing;
      const classes = manifest.classes.length;
      const batch = { count: pending.length, width, height, pixels, targets: oneHot(labels, classes) };
      const random = new Random(view.seed).fork(`mix ${view.number} of slot ${first.slot}`);
      const mixed = mix(batch, view.augmentation, random);
      pixels = new Uint8Array(mixed.pixels);
      targets.set(mixed.targets, first.slot * classes);
    }
    pending = [];
    await stored;
    stored = engine.store(first.slot, labels, pixels);
    stored.catch(() => undefined);
  };
  const reader = new PhotoReader((photo, wanted) =>
    view ? decodeView(photo, wanted, view.augmentation, view.seed, view.number) : decodePhoto(photo, wanted),
  );
  const onSkipped = (photo: Photo, error: Error) => {
    if (!skipped.add(photo, error.message)) return;
    skipped.check(options.total, options.maxBad);
    events.push({ type: 'skipped', path: photo.path, reason: error.message });
  };
  for await (const { index, photo, pixels } of reader.read(photos, preprocessing, {
    concurrency: 2 * FROZEN_BATCH,
    onSkipped,
  })) {
    if (signal?.aborted) throw new UserError('stopped', 'stopped while reading the photos');
    // Slots of a batch are consecutive; an unreadable photo leaves a gap.
    const slot = firstSlot + index;
    const last = pending.at(-1);
    if (pending.length === FROZEN_BATCH || (last && last.slot + 1 !== slot)) await flush();
    pending.push({ slot, label: photo.label, pixels });
    filled.push(slot);
    yield* events.splice(0);
    if (filled.length % FROZEN_BATCH === 0 || index === photos.length - 1)
      yield { type: 'progress', phase: 'reading photos', epoch: options.epoch, done: index + 1, total: photos.length };
  }
  await flush();
  await stored;
  yield* events.splice(0);
  return filled;
}

/** Share of the machine's memory that the photos' boundary may take. */
const LARGEST_SHARE = 0.7;

/** @throws UserError `too-little-memory` when the boundary of so many photos would not fit. */
export function checkMemory({ cost, policy }: Manifest, slots: number): void {
  const [needed, largest] = [slots * cost.boundaryBytes, LARGEST_SHARE * totalmem()];
  if (needed <= largest) return;
  const megabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`;
  throw new UserError(
    'too-little-memory',
    `policy ${policy} keeps ${megabytes(needed)} for ${slots} photos and views, and this machine allows ${megabytes(largest)}; choose a policy that trains fewer layers, or fewer photos`,
  );
}
