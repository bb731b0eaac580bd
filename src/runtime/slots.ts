import type { FeatureStore, RowPlace } from '../cache/featureStore.js';
import { elementCount } from '../onnx/tensor.js';

export type BoundaryDType = 'float32' | 'float16' | 'uint8';
export type Row = Float32Array | Uint16Array | Uint8Array;

/** What a slot holds of one photo, a part for each value of the boundary. */
export interface BoundaryValue {
  readonly name: string;
  readonly dtype: BoundaryDType;
  /** For one photo. */
  readonly shape: readonly number[];
}

/** Below this, all rows are kept in memory, be there a store or not: steps that are this short would wait for the disk. */
export const IN_MEMORY_BYTES = 64 * 2 ** 20;

/** An array of `count` elements. float16 is handled as the bits it consists of. */
export function newRow(dtype: BoundaryDType, count: number): Row {
  if (dtype === 'uint8') return new Uint8Array(count);
  return dtype === 'float16' ? new Uint16Array(count) : new Float32Array(count);
}

/** The boundary of photos by slot: in memory, or, where there is a store and they are many, on its disk. */
export class Slots {
  private readonly sizes: readonly number[];
  /** Absent where the rows stay on disk. */
  private rows: readonly Row[] | undefined;
  private readonly places: (RowPlace | undefined)[] = [];

  constructor(
    readonly values: readonly BoundaryValue[],
    readonly count: number,
    private readonly store?: FeatureStore,
    inMemoryBytes = IN_MEMORY_BYTES,
  ) {
    this.sizes = values.map(({ shape }) => elementCount(shape));
    const inMemory = !store || store.rowBytes * count <= inMemoryBytes;
    this.rows = inMemory
      ? values.map(({ dtype }, index) => newRow(dtype, (this.sizes[index] ?? 0) * count))
      : undefined;
  }

  /** Makes room for `count` slots; what is in those that are there stays where it is, in memory or on the disk. */
  grow(count: number): void {
    this.rows = this.rows?.map((row, index) => {
      const larger = newRow(this.values[index]?.dtype ?? 'float32', (this.sizes[index] ?? 0) * count);
      larger.set(row);
      return larger;
    });
  }

  /** Lets go of what is in `slots`: they are as they were before anything was put there. */
  forget(slots: Int32Array): void {
    for (const slot of slots) this.places[slot] = undefined;
  }

  /** Buffers for the rows of `count` photos. */
  buffers(count: number): Row[] {
    return this.values.map(({ dtype }, index) => newRow(dtype, (this.sizes[index] ?? 0) * count));
  }

  /** Row number `n` of `buffers`, a part for each value. */
  rowOf(buffers: readonly Row[], n: number): Row[] {
    return buffers.map((buffer, index) => {
      const size = this.sizes[index] ?? 0;
      return buffer.subarray(n * size, (n + 1) * size);
    });
  }

  /** Keeps row number `n` of `buffers` as the slot's, with its place in the store. */
  put(slot: number, buffers: readonly Row[], n: number, place?: RowPlace): void {
    this.places[slot] = place;
    if (this.rows) this.rowOf(buffers, n).forEach((row, index) => this.rows?.[index]?.set(row, slot * row.length));
    else if (!place) throw new Error(`slot ${slot} is neither in memory nor in a store`);
  }

  /**
   * Copies the slots' rows one after another into `buffers`. From disk, they come while other work goes on. A slot of −1 gets the row of
   * another: zeros may have no logarithm and divide nothing.
   */
  gather(slots: Int32Array, buffers: readonly Row[]): Promise<unknown> | undefined {
    const { rows, store } = this;
    /** Rows on disk, those that lie one behind another together: as do those of photos in the order in which they were read. */
    const stretches: { readonly place: RowPlace; readonly into: Uint8Array[]; end: number }[] = [];
    const filling = slots.find((slot) => slot >= 0) ?? -1;
    slots.forEach((given, n) => {
      const slot = given < 0 ? filling : given;
      const into = this.rowOf(buffers, n);
      const place = this.places[slot];
      if (slot < 0) for (const row of into) row.fill(0);
      else if (rows) into.forEach((row, index) => copyRow(rows[index], slot, row));
      else if (place && store) {
        const last = stretches.at(-1);
        const end = place.position + store.rowBytes;
        if (last?.place.file === place.file && last.end === place.position) {
          last.into.push(...into.map(bytesOf));
          last.end = end;
        } else stretches.push({ place, into: into.map(bytesOf), end });
      } else throw new Error(`slot ${slot} is empty`);
    });
    if (!store || stretches.length === 0) return undefined;
    return whenAllHaveEnded(stretches.map(({ place, into }) => store.read(place, into)));
  }

  /** The slots whose rows somebody has removed from the disk, to be put again. */
  async lost(): Promise<number[]> {
    const isRemoved = this.rows ? undefined : await this.store?.forgetRemoved();
    return this.places.flatMap((place, slot) => (place && isRemoved?.(place) ? [slot] : []));
  }

  /** The key with which the row of a slot was put into the store; undefined where it was not. */
  keyOf(slot: number): string | undefined {
    const place = this.places[slot];
    return place && this.store?.keyOf(place);
  }
}

/** Where one fails, the others may still write into their buffers, which the next rows are to be read into. */
export async function whenAllHaveEnded(reads: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(reads);
  await Promise.all(reads);
}

function copyRow(from: Row | undefined, slot: number, into: Row): void {
  if (from) into.set(from.subarray(slot * into.length, (slot + 1) * into.length));
}

/** The bytes of a row, the same memory. */
export function bytesOf(row: Row): Uint8Array {
  return new Uint8Array(row.buffer, row.byteOffset, row.byteLength);
}
