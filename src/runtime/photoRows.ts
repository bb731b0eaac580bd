import { UserError } from '../errors.js';
import { boundaryTensors } from './boundaryTensors.js';
import type { Features } from './frozenFeatures.js';
import { bytesOf, type Row, Slots } from './slots.js';

/** What a cache has for a run. */
export interface CachedRows {
  /** Where the rows lie. */
  readonly folder: string;
  readonly rowBytes: number;
  /** The cache's keys of photos that need not be decoded. */
  readonly keys: readonly string[];
  /** How many of those have a row; the others have one of another policy, from which the rest is computed. */
  readonly rows: number;
}

/** What is kept of photos by slot: their boundary, in memory or in the cache, and their labels. */
export class PhotoRows {
  private labels: Int32Array;

  constructor(
    private readonly slots: Slots,
    private readonly features: Features | undefined,
  ) {
    this.labels = new Int32Array(slots.count);
  }

  get values(): Slots['values'] {
    return this.slots.values;
  }

  /** What the cache has; undefined where there is none. */
  cacheState(): CachedRows | undefined {
    if (!this.features) return undefined;
    const { store, donor } = this.features;
    const { folder, rowBytes, keys } = store;
    return { folder, rowBytes, keys: [...new Set([...keys, ...(donor?.store.keys ?? [])])], rows: keys.length };
  }

  /**
   * Fills `slots` from the cache, by the photos' keys. Gives the places in `slots` of those that it does not hold whole.
   * @throws UserError `cache-full` where a row of another policy is to become one of this.
   */
  async recall(slots: Int32Array, labels: readonly number[], keys: readonly string[]): Promise<number[]> {
    const missing: number[] = [];
    const one = this.slots.buffers(1);
    const whole = this.slots.rowOf(one, 0).map(bytesOf);
    const store = this.features?.store;
    for (const [index, key] of keys.entries()) {
      const place = store?.find(key);
      if (!place || !(await store?.readChecked(place, whole))) {
        missing.push(index);
        continue;
      }
      const slot = slots[index] ?? 0;
      this.labels[slot] = labels[index] ?? 0;
      this.slots.put(slot, one, 0, place);
    }
    const computed = await this.recallFromDonor(missing, slots, labels, keys);
    return missing.filter((index) => !computed.includes(index));
  }

  /** Computes the rows of those `places` of which the cache has one of another policy, and gives these. */
  private async recallFromDonor(
    places: readonly number[],
    slots: Int32Array,
    labels: readonly number[],
    keys: readonly string[],
  ): Promise<number[]> {
    const donor = this.features?.donor;
    if (!donor) return [];
    const given = places.filter((index) => donor.store.find(keys[index] ?? ''));
    const taken = await donor.read(given.map((index) => keys[index] ?? ''));
    const wanted = given.filter((_, n) => taken.isWhole[n]);
    if (wanted.length === 0) return [];
    const buffers = this.slots.buffers(wanted.length);
    await donor.run(taken, boundaryTensors(this.values, buffers, wanted.length));
    await this.keep(
      Int32Array.from(wanted, (index) => slots[index] ?? 0),
      wanted.map((index) => labels[index] ?? 0),
      buffers,
      wanted.map((index) => keys[index] ?? ''),
    );
    return wanted;
  }

  /** Keeps the boundary of photos, `buffers`, and their labels in `slots`; where there are `keys`, also in the cache. */
  async keep(
    slots: Int32Array,
    labels: readonly number[],
    buffers: readonly Row[],
    keys?: readonly string[],
  ): Promise<void> {
    for (const [n, slot] of slots.entries()) {
      const key = keys?.[n];
      const before = this.slots.keyOf(slot);
      if (before !== undefined && before !== key)
        throw new UserError(
          'bad-cache',
          'the features of a photo were removed from the cache while they were in use, and the photo has changed since; begin anew (‹overwrite›)',
        );
      const row = this.slots.rowOf(buffers, n).map(bytesOf);
      this.labels[slot] = labels[n] ?? 0;
      this.slots.put(slot, buffers, n, key === undefined ? undefined : await this.features?.store.append(key, row));
    }
  }

  /** The label of a slot's photo; −1 for what fills up a batch. */
  labelOf(slot: number): number {
    return slot < 0 ? -1 : (this.labels[slot] ?? 0);
  }

  /** Buffers for the boundary of `count` images. */
  buffers(count: number): Row[] {
    return this.slots.buffers(count);
  }

  /** Begins to read the boundary of `slots` into `buffers`. Whoever asks for it later learns then that it failed. */
  gather(slots: Int32Array, buffers: readonly Row[]): Promise<unknown> | undefined {
    const reading = this.slots.gather(slots, buffers);
    reading?.catch(() => undefined);
    return reading;
  }

  /** Waits for rows to be read. Where that fails since they were removed, gives all slots that have none any more. */
  async lostBy(reading: Promise<unknown> | undefined): Promise<readonly number[] | undefined> {
    try {
      await reading;
      return undefined;
    } catch (thrown) {
      const lost = await this.slots.lost();
      if (lost.length === 0) throw thrown;
      return lost;
    }
  }

  /** Makes room for so many slots; what is in those that are there stays. */
  grow(slots: number): void {
    const { labels } = this;
    this.labels = new Int32Array(slots);
    this.labels.set(labels);
    this.slots.grow(slots);
  }

  /** Lets go of what is in slots, so that other photos can be kept there. */
  forget(slots: Int32Array): void {
    this.slots.forget(slots);
  }

  /** Gives back the memory of what fills slots: every photo's boundary is there. */
  async releaseFrozen(): Promise<void> {
    await this.features?.donor?.close();
  }
}
