import type { Manifest } from '../artifacts/manifest.js';
import { decodeContent } from '../data/decode.js';
import { centredView } from '../data/geometry.js';
import type { Photo } from '../data/photo.js';
import { photoIdentity } from '../data/photoIdentity.js';
import { PhotoReader } from '../data/photoReader.js';
import { contentHash, readPhoto } from '../data/readPhoto.js';
import type { Engine } from '../runtime/engine.js';
import { checkMemory } from './fillSlots.js';
import { HANDED_OVER, HandingOver } from './handingOver.js';
import { type Arriving, intoSlots } from './intoSlots.js';
import { checkLearning, type LiveHeadEvent } from './liveHeadEvents.js';

/** So many photos' features are kept, whether they are in the data set or not. */
const LEAST_KEPT = 256;

/** A photo that was read: the hash of its content, and its pixels unless its features are known. */
interface Read {
  readonly hash: string;
  readonly pixels?: Uint8Array;
}

interface Coming extends Arriving {
  readonly hash: string;
}

/** The features of a data set's photos. */
interface FoundFeatures {
  /** The slots of the photos, in their order; undefined for one that cannot be read. Photos of the same content share one. */
  readonly slots: readonly (number | undefined)[];
  /** How many photos went through the frozen part. */
  readonly computed: number;
}

/** How far the photos of one data set are. */
interface Progress {
  /** Their hashes, in their order, as far as they are known. */
  readonly hashes: (string | undefined)[];
  /** What tells their files from others. */
  readonly identities: readonly (string | undefined)[];
  done: number;
  computed: number;
}

/**
 * The features of photos, each in a slot of an engine that stays open: by the photos' content, so that one that is moved, or comes again,
 * is known. What is no longer in the data set stays for a while.
 */
export class LiveFeatures {
  /** A content's hash → its slot. */
  private readonly slots = new Map<string, number>();
  /** What tells files from others → the hash of what was read of them. */
  private known = new Map<string, string>();
  /** Slots that hold nothing. */
  private readonly free: number[] = [];
  /** Slots in which something may be that counts no more. */
  private stale: number[] = [];
  /** Ends when nothing is on its way into a slot. */
  private settled: Promise<unknown> = Promise.resolve();

  /**
   * @param room how many slots the engine has.
   * @param cached the keys that its cache has something for; undefined where there is no cache.
   */
  constructor(
    private readonly engine: Engine,
    private readonly manifest: Manifest,
    private room: number,
    private readonly cached: Set<string> | undefined,
  ) {
    this.addFree(0, room);
  }

  /**
   * Has features of all photos: computes those that are not there, or takes them from the cache. It tells of photos that cannot be read. What
   * was computed when the signal fires stays.
   * @throws UserError `stopped`, `too-little-memory`, `cache-full`.
   */
  async *find(photos: readonly Photo[], signal: AbortSignal): AsyncGenerator<LiveHeadEvent, FoundFeatures> {
    await this.settled;
    checkLearning(signal);
    const progress = await this.recognize(photos);
    const { hashes } = progress;
    let left = [...photos.keys()].filter((place) => !this.slots.has(hashes[place] ?? ''));
    progress.done -= left.length;
    await this.makeRoom(left.length);
    yield { type: 'progress', phase: 'features', done: progress.done, total: photos.length };
    while (left.length > 0) left = yield* this.read(photos, left, progress, signal);
    const slots = hashes.map((hash) => (hash === undefined ? undefined : this.slots.get(hash)));
    await this.forgetOldest(new Set(hashes));
    return { slots, computed: progress.computed };
  }

  /** What is known of the photos' contents before any is read. Files that are not among them are forgotten. */
  private async recognize(photos: readonly Photo[]): Promise<Progress> {
    const identities = await Promise.all(photos.map(photoIdentity));
    const hashes = identities.map((identity) => (identity === undefined ? undefined : this.known.get(identity)));
    this.known = new Map();
    for (const [place, hash] of hashes.entries()) this.remember(identities[place], hash);
    return { hashes, identities, done: photos.length, computed: 0 };
  }

  private remember(identity: string | undefined, hash: string | undefined): void {
    if (identity !== undefined && hash !== undefined) this.known.set(identity, hash);
  }

  /** Reads the photos at `places`. Gives those whose rows in the cache turned out to be damaged. */
  private async *read(
    photos: readonly Photo[],
    places: readonly number[],
    progress: Progress,
    signal: AbortSignal,
  ): AsyncGenerator<LiveHeadEvent, number[]> {
    const damaged = new Set<string>();
    const coming = new Set<string>();
    const mostSent = 1 + Math.ceil(this.engine.photosAtOnce / HANDED_OVER);
    const handing = new HandingOver<Coming>(mostSent, (batch) => this.hand(batch, progress, damaged));
    const reader = new PhotoReader((photo) => this.readPhoto(photo));
    const some = places.flatMap((place) => photos[place] ?? []);
    const total = photos.length;
    try {
      let told = progress.done;
      for await (const each of reader.read(some, this.manifest.preprocessing, { concurrency: 2 * HANDED_OVER })) {
        checkLearning(signal);
        if ('error' in each) {
          progress.done++;
          yield { type: 'skipped', path: each.photo.path, reason: each.error.message };
        } else {
          const place = places[each.index] ?? 0;
          const { hash, pixels } = each.decoded;
          progress.hashes[place] = hash;
          this.remember(progress.identities[place], hash);
          if (this.slots.has(hash) || coming.has(hash)) progress.done++;
          else {
            coming.add(hash);
            await handing.add({ hash, slot: this.take(), label: 0, pixels, ...(this.cached ? { key: hash } : {}) });
          }
        }
        if (progress.done === told) continue;
        told = progress.done;
        yield { type: 'progress', phase: 'features', done: told, total };
      }
      await handing.end();
      if (progress.done > told) yield { type: 'progress', phase: 'features', done: progress.done, total };
    } finally {
      // Whoever stops it keeps what is decoded already.
      this.settled = handing.end().catch(() => undefined);
    }
    // Of several photos of one content, the first is enough.
    return places.filter((place) => damaged.delete(progress.hashes[place] ?? ''));
  }

  private async readPhoto(photo: Photo): Promise<Read> {
    const content = await readPhoto(photo);
    const hash = contentHash(content);
    if (this.slots.has(hash) || this.cached?.has(hash)) return { hash };
    const { preprocessing } = this.manifest;
    return { hash, pixels: await decodeContent(content, photo.path, (size) => centredView(size, preprocessing)) };
  }

  /** Puts photos into their slots. */
  private async hand(batch: readonly Coming[], progress: Progress, damaged: Set<string>): Promise<void> {
    let lost: ReadonlySet<number>;
    try {
      lost = new Set(await intoSlots(this.engine, batch));
    } catch (thrown) {
      this.stale.push(...batch.map(({ slot }) => slot));
      throw thrown;
    }
    for (const [place, { hash, slot, pixels }] of batch.entries()) {
      if (lost.has(place)) {
        this.stale.push(slot);
        this.cached?.delete(hash);
        damaged.add(hash);
        continue;
      }
      this.slots.set(hash, slot);
      this.cached?.add(hash);
      progress.done++;
      if (pixels) progress.computed++;
    }
  }

  private take(): number {
    const slot = this.free.pop();
    if (slot === undefined) throw new Error('more photos were read than room was made for');
    return slot;
  }

  private addFree(from: number, to: number): void {
    for (let slot = to - 1; slot >= from; slot--) this.free.push(slot);
  }

  /** Has room for so many photos more. @throws UserError `too-little-memory`. */
  private async makeRoom(count: number): Promise<void> {
    if (this.free.length >= count) return;
    const needed = this.room + count - this.free.length;
    checkMemory(this.manifest, needed);
    const room = Math.max(2 * this.room, needed);
    await this.engine.grow(room);
    this.addFree(this.room, room);
    this.room = room;
  }

  /** Lets go of what is not `wanted`, and came first, where there is more of that than of what is. */
  private async forgetOldest(wanted: ReadonlySet<string | undefined>): Promise<void> {
    const most = Math.max(LEAST_KEPT, 2 * wanted.size);
    for (const [hash, slot] of this.slots) {
      if (this.slots.size <= most) break;
      if (wanted.has(hash)) continue;
      this.slots.delete(hash);
      this.stale.push(slot);
    }
    const { stale } = this;
    if (stale.length === 0) return;
    this.stale = [];
    await this.engine.forget(Int32Array.from(stale));
    this.free.push(...stale);
  }
}
