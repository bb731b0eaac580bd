import { existsSync, readFileSync, utimesSync } from 'node:fs';
import { type FileHandle, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { messageOf, UserError } from '../errors.js';
import { sha256, writeFileAtomically } from '../files.js';
import { machineErrorOf } from '../machineError.js';
import { bytesPerElement, elementCount } from '../onnx/tensor.js';
import { compactSegments, newSegmentName } from './compaction.js';
import { OpenFiles } from './openFiles.js';
import { ENTRY_BYTES, entryOf, INDEX, isGone, readSegment, ROWS, SEALED, segmentsIn } from './segment.js';
import { readAll, writeAll } from './vectored.js';

const layoutSchema = z.object({
  format: z.literal(1),
  /** Versions that the rows were computed with: the same graph may round otherwise elsewhere. */
  runtime: z.string(),
  /** What a row consists of, one value after another. */
  values: z
    .array(
      z.object({
        fingerprint: z.string(),
        dtype: z.enum(['float32', 'float16', 'uint8']),
        /** For one photo. */
        shape: z.array(z.number().int().positive()),
      }),
    )
    .min(1),
  /** What whoever looks at the folder wants to know. */
  model: z.string(),
  policy: z.string(),
});

/** What a store's rows are. */
export type Layout = z.infer<typeof layoutSchema>;

/** Where a row lies. */
export interface RowPlace {
  /** The number of the segment, as the store counts them. */
  readonly file: number;
  readonly position: number;
  readonly checksum: number;
}

export const LAYOUT_FILE = 'layout.json';
/** Files of rows that a store has open at once: more reads than these no four threads of libuv carry out. */
const MOST_OPEN = 8;
/** Who has not added a row for so long begins a new segment: others may think after a day that nobody adds to the old one. */
const IDLE_MS = 3600_000;
/** How often a folder is listed again because a segment vanished that was listed. */
const LISTINGS = 5;

/** The folder, below `root`, of rows that are laid out as `layout` says. */
export function storeFolder(root: string, { runtime, values }: Layout): string {
  return join(root, sha256(Buffer.from(JSON.stringify([runtime, values]))).slice(0, 32));
}

/** The layout of the store in `folder`; undefined where there is none that this version reads. */
export function readLayout(folder: string): Layout | undefined {
  try {
    return layoutSchema.parse(JSON.parse(readFileSync(join(folder, LAYOUT_FILE), 'utf8')));
  } catch {
    return undefined;
  }
}

/** Whoever prunes sees that the store was used now. Of another user's, nobody else can say so. */
function markUsed(folder: string): void {
  try {
    utimesSync(join(folder, LAYOUT_FILE), new Date(), new Date());
  } catch {
    // It is only removed sooner.
  }
}

/** A row's bytes. */
export function rowBytesOf({ values }: Pick<Layout, 'values'>): number {
  return values.reduce((sum, { dtype, shape }) => sum + bytesPerElement(dtype) * elementCount(shape), 0);
}

interface Segment {
  readonly name: string;
  /** In the order of the rows. */
  readonly keys: string[];
}

/** The segment that this process adds to. */
interface Writing {
  readonly number: number;
  readonly rows: FileHandle;
  readonly index: FileHandle;
  writtenAt: number;
}

/**
 * Rows on disk by a key of 32 bytes: what the frozen part computed of a photo. Each process that adds rows writes a segment of its own,
 * a pair of files `.rows` and `.index`, so that several may at once; when it is done it seals it (`.sealed`), and small sealed ones are
 * made one (see {@link compactSegments}). An entry of the index follows its row, and has its checksum: what a killed process or a full
 * disk has cut off counts for nothing, and a damaged row is as good as none.
 */
export class FeatureStore {
  private readonly places = new Map<string, RowPlace>();
  private readonly segments: Segment[] = [];
  private readonly known = new Set<string>();
  private readonly files = new OpenFiles(MOST_OPEN);
  /** Segments that could not be opened any more: a network's disk may remember for a while that they are there. */
  private readonly gone = new Set<number>();
  private writing: Writing | undefined;
  /** Appends come after one another. */
  private last: Promise<unknown> = Promise.resolve();
  readonly rowBytes: number;
  /** Buffers of a row. */
  private readonly partsOfRow: number;

  private constructor(
    readonly folder: string,
    private readonly layout: Layout,
  ) {
    this.rowBytes = rowBytesOf(layout);
    this.partsOfRow = layout.values.length;
  }

  /** Opens the store in `folder`, and makes it if need be. @throws UserError `bad-cache` where it cannot be read. */
  static async open(folder: string, layout: Layout): Promise<FeatureStore> {
    const store = new FeatureStore(folder, layout);
    if (readLayout(folder)) markUsed(folder);
    else await store.writeLayout();
    await compactSegments(folder, store.rowBytes);
    store.list();
    return store;
  }

  /** The keys of all rows. */
  get keys(): string[] {
    return [...this.places.keys()];
  }

  /** Where the row of `key` (64 hexadecimal digits) is said to lie. */
  find(key: string): RowPlace | undefined {
    return this.places.get(key);
  }

  /**
   * Reads a row, or several one behind another, into buffers, one for each value of each. Nothing is copied on the way.
   * @throws UserError `bad-cache`, MachineError.
   */
  async read(place: RowPlace, into: readonly Uint8Array[]): Promise<void> {
    try {
      await this.readSegment(place, into);
    } catch (thrown) {
      if (thrown instanceof UserError) throw thrown;
      const machine = machineErrorOf(thrown);
      if (machine) throw machine;
      if (!isGone(thrown)) throw this.unreadable(messageOf(thrown), thrown);
      this.gone.add(place.file);
      await this.readElsewhere(place, into);
    }
  }

  /** Reads a row as {@link read} does, and tells whether it is what was written. */
  async readChecked(place: RowPlace, into: readonly Uint8Array[]): Promise<boolean> {
    try {
      await this.read(place, into);
    } catch (thrown) {
      if (thrown instanceof UserError) return false;
      throw thrown;
    }
    return into.reduce((sum, part) => crc32(part, sum), 0) === place.checksum;
  }

  /** The key of the row that was put at `place`. */
  keyOf({ file, position }: RowPlace): string {
    return this.segments[file]?.keys[position / this.rowBytes] ?? '';
  }

  /** Forgets the rows that somebody has removed from the disk. Tells of a place whether its row is one of them. */
  async forgetRemoved(): Promise<(place: RowPlace) => boolean> {
    this.list();
    const isRemoved = (file: number) => this.gone.has(file) || !existsSync(this.pathOf(file, ROWS));
    const removed = new Set([...this.segments.keys()].filter(isRemoved));
    if (this.writing && removed.has(this.writing.number)) await this.seal();
    for (const [key, { file }] of this.places) if (removed.has(file)) this.places.delete(key);
    return (place) => removed.has(place.file) && !this.places.has(this.keyOf(place));
  }

  /**
   * Adds a row, given as one buffer for each value, which must not change until then. Gives the row's place.
   * @throws UserError `cache-full`, `bad-cache`.
   */
  append(key: string, row: readonly Uint8Array[]): Promise<RowPlace> {
    const appended = this.last.then(() => this.write(key, row));
    this.last = appended.catch(() => undefined);
    return appended;
  }

  async close(): Promise<void> {
    await this.last;
    await this.seal();
    await this.files.close();
  }

  private async writeLayout(): Promise<void> {
    await writeFileAtomically(join(this.folder, LAYOUT_FILE), `${JSON.stringify(this.layout, null, 2)}\n`);
  }

  /** Takes up the segments that are not known yet. One that vanishes meanwhile has become a part of another. */
  private list(): void {
    for (let listing = 0; listing < LISTINGS; listing++) {
      const vanished = segmentsIn(this.folder).filter((name) => !this.known.has(name) && !this.takeUp(name));
      if (vanished.length === 0) return;
    }
  }

  /** Tells whether the segment is still there. */
  private takeUp(name: string): boolean {
    const index = readSegment(this.folder, name, this.rowBytes);
    if (index === 'vanished') return false;
    this.known.add(name);
    const keys = [...index.keys];
    const file = this.segments.push({ name, keys }) - 1;
    for (const [row, key] of keys.entries())
      this.places.set(key, { file, position: row * this.rowBytes, checksum: index.checksums[row] ?? 0 });
    return true;
  }

  private async readSegment({ file, position }: RowPlace, into: readonly Uint8Array[]): Promise<void> {
    const wanted = into.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const bytes = await this.files.use(this.pathOf(file, ROWS), (descriptor) => readAll(descriptor, into, position));
    if (bytes < wanted) throw this.unreadable('it is shorter than it says');
  }

  /** Reads rows, one behind another, of a segment that another process has meanwhile made a part of another one. */
  private async readElsewhere({ file, position, checksum }: RowPlace, into: readonly Uint8Array[]): Promise<void> {
    this.list();
    for (let part = 0, at = position; part < into.length; part += this.partsOfRow, at += this.rowBytes) {
      const place = this.places.get(this.keyOf({ file, position: at, checksum }));
      if (!place || place.file === file) throw this.unreadable('its rows were removed while they were in use');
      await this.read(place, into.slice(part, part + this.partsOfRow));
    }
  }

  private async write(key: string, row: readonly Uint8Array[]): Promise<RowPlace> {
    try {
      if (this.writing && Date.now() - this.writing.writtenAt > IDLE_MS) await this.seal();
      this.writing ??= await this.startSegment();
      const { number: file, rows, index } = this.writing;
      const keys = this.segments[file]?.keys ?? [];
      const position = keys.length * this.rowBytes;
      const checksum = row.reduce((sum, part) => crc32(part, sum), 0);
      // At their places, since a full disk may have taken parts of earlier ones.
      await writeWhole(rows, row, position);
      await writeWhole(index, [entryOf(key, checksum)], keys.length * ENTRY_BYTES);
      this.writing.writtenAt = Date.now();
      keys.push(key);
      const place = { file, position, checksum };
      this.places.set(key, place);
      return place;
    } catch (cause) {
      throw (
        machineErrorOf(cause) ??
        new UserError(
          'cache-full',
          `cannot write the cache ${this.folder}: ${messageOf(cause)}; free some space (ort-tl cache prune), choose another folder (‹cache›), or do without (‹noCache›)`,
          { cause },
        )
      );
    }
  }

  private async startSegment(): Promise<Writing> {
    // Who has removed the folder has removed what tells of it too.
    if (!readLayout(this.folder)) await this.writeLayout();
    const name = newSegmentName();
    const rows = await open(join(this.folder, name + ROWS), 'wx');
    let index: FileHandle;
    try {
      index = await open(join(this.folder, name + INDEX), 'wx');
    } catch (thrown) {
      await rows.close();
      await rm(join(this.folder, name + ROWS), { force: true });
      throw thrown;
    }
    this.known.add(name);
    return { number: this.segments.push({ name, keys: [] }) - 1, rows, index, writtenAt: Date.now() };
  }

  /** Ends the segment that this process adds to, and says so to others; one without rows goes. */
  private async seal(): Promise<void> {
    const { writing } = this;
    this.writing = undefined;
    if (!writing) return;
    try {
      await writing.rows.close();
      await writing.index.close();
    } catch {
      // A network's disk may say only now that it is full: what has not arrived counts for nothing, and nobody may take it for done.
      return;
    }
    const isEmpty = this.segments[writing.number]?.keys.length === 0;
    if (!existsSync(this.pathOf(writing.number, ROWS))) return;
    // Without the mark it is left as it is for a day, and nothing worse.
    if (!isEmpty) await writeFile(this.pathOf(writing.number, SEALED), '').catch(() => undefined);
    else for (const ending of [INDEX, ROWS]) await rm(this.pathOf(writing.number, ending), { force: true });
  }

  private pathOf(file: number, ending: string): string {
    return join(this.folder, (this.segments[file]?.name ?? '') + ending);
  }

  private unreadable(reason: string, cause?: unknown): UserError {
    return new UserError(
      'bad-cache',
      `cannot read the cache ${this.folder}: ${reason}; run again, or remove it (ort-tl cache rm)`,
      { cause },
    );
  }
}

async function writeWhole(file: FileHandle, parts: readonly Uint8Array[], position: number): Promise<void> {
  const wanted = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if ((await writeAll(file, parts, position)) < wanted)
    throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC' });
}
