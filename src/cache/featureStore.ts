import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readv,
  statSync,
  utimesSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { messageOf, UserError } from '../errors.js';
import { sha256, writeFileAtomically } from '../files.js';
import { bytesPerElement, elementCount } from '../onnx/tensor.js';

const layoutSchema = z.object({
  format: z.literal(1),
  /** Of what the rows were computed with: the same graph may round otherwise elsewhere. */
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
export interface Place {
  readonly file: number;
  readonly position: number;
  readonly checksum: number;
}

export const LAYOUT_FILE = 'layout.json';
const ROWS = '.rows';
const INDEX = '.index';
/** An entry of an index: the row's key, its CRC-32, and four bytes that are zero. */
const KEY_BYTES = 32;
const ENTRY_BYTES = KEY_BYTES + 8;

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

/** How many rows the index files of a store, of so many bytes, tell of. */
export const rowsOfIndex = (bytes: number) => Math.floor(bytes / ENTRY_BYTES);
export const isIndex = (name: string) => name.endsWith(INDEX);

/** A row's bytes. */
export function rowBytesOf({ values }: Pick<Layout, 'values'>): number {
  return values.reduce((sum, { dtype, shape }) => sum + bytesPerElement(dtype) * elementCount(shape), 0);
}

/**
 * Rows on disk by a key of 32 bytes: what the frozen part computed of a photo. Each process that adds rows writes a pair of files
 * of its own, `.rows` and `.index`, so that several may at once. An entry of the index follows its row, and has its checksum: what
 * a killed process or a full disk has cut off counts for nothing, and a damaged row is as good as none.
 */
export class FeatureStore {
  private readonly places = new Map<string, Place>();
  private readonly files: number[] = [];
  private writing: { rows: FileHandle; index: FileHandle; file: number; position: number } | undefined;
  /** Appends come after one another. */
  private last: Promise<unknown> = Promise.resolve();
  readonly rowBytes: number;

  private constructor(
    readonly folder: string,
    layout: Layout,
  ) {
    this.rowBytes = rowBytesOf(layout);
  }

  /** Opens the store in `folder`, and makes it if need be. @throws UserError `bad-cache` where it cannot be read. */
  static async open(folder: string, layout: Layout): Promise<FeatureStore> {
    const store = new FeatureStore(folder, layout);
    if (readLayout(folder)) utimesSync(join(folder, LAYOUT_FILE), new Date(), new Date());
    else await writeFileAtomically(join(folder, LAYOUT_FILE), `${JSON.stringify(layout, null, 2)}\n`);
    for (const name of readdirSync(folder).sort()) if (isIndex(name)) store.openSegment(name);
    return store;
  }

  /** Of all rows. */
  get keys(): string[] {
    return [...this.places.keys()];
  }

  /** Where the row of `key` (64 hexadecimal digits) is said to lie. */
  find(key: string): Place | undefined {
    return this.places.get(key);
  }

  /** Reads a row, or several one behind another, into buffers, one for each value of each. Nothing is copied on the way. */
  read({ file, position }: Place, into: readonly Uint8Array[]): Promise<void> {
    const wanted = into.reduce((sum, { byteLength }) => sum + byteLength, 0);
    return new Promise((resolve, reject) => {
      readv(file, into, position, (error, bytes) => {
        if (error) reject(new UserError('bad-cache', `cannot read the cache ${this.folder}: ${error.message}`));
        else if (bytes < wanted) reject(this.damaged());
        else resolve();
      });
    });
  }

  /** Reads a row as {@link read} does, and tells whether it is what was written. */
  async readChecked(place: Place, into: readonly Uint8Array[]): Promise<boolean> {
    try {
      await this.read(place, into);
    } catch (thrown) {
      if (thrown instanceof UserError) return false;
      throw thrown;
    }
    return into.reduce((sum, part) => crc32(part, sum), 0) === place.checksum;
  }

  /**
   * Adds a row, given as one buffer for each value, which must not change until then. Gives the row's place.
   * @throws UserError `cache-full`, `bad-cache`.
   */
  append(key: string, row: readonly Uint8Array[]): Promise<Place> {
    const appended = this.last.then(() => this.write(key, row));
    this.last = appended.catch(() => undefined);
    return appended;
  }

  async close(): Promise<void> {
    await this.last;
    await this.writing?.rows.close();
    await this.writing?.index.close();
    for (const file of this.files) closeSync(file);
    this.files.length = 0;
  }

  private openSegment(indexName: string): void {
    const rowsName = join(this.folder, indexName.slice(0, -INDEX.length) + ROWS);
    if (!existsSync(rowsName)) return;
    const index = readFileSync(join(this.folder, indexName));
    const rows = Math.floor(statSync(rowsName).size / this.rowBytes);
    const count = Math.min(rows, rowsOfIndex(index.length));
    if (count === 0) return;
    const file = openSync(rowsName, 'r');
    this.files.push(file);
    for (let row = 0; row < count; row++) {
      const at = row * ENTRY_BYTES;
      this.places.set(index.toString('hex', at, at + KEY_BYTES), {
        file,
        position: row * this.rowBytes,
        checksum: index.readUInt32LE(at + KEY_BYTES),
      });
    }
  }

  private async write(key: string, row: readonly Uint8Array[]): Promise<Place> {
    try {
      this.writing ??= await this.startSegment();
      const { rows, index, file, position } = this.writing;
      const checksum = row.reduce((sum, part) => crc32(part, sum), 0);
      const { bytesWritten } = await rows.writev(row, position);
      if (bytesWritten < this.rowBytes) throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC' });
      const entry = Buffer.alloc(ENTRY_BYTES);
      entry.write(key, 'hex');
      entry.writeUInt32LE(checksum, KEY_BYTES);
      await index.appendFile(entry);
      this.writing.position += this.rowBytes;
      const place = { file, position, checksum };
      this.places.set(key, place);
      return place;
    } catch (cause) {
      throw new UserError(
        'cache-full',
        `cannot write the cache ${this.folder}: ${messageOf(cause)}; free some space (ort-tl cache prune), choose another folder (--cache), or do without (--no-cache)`,
        { cause },
      );
    }
  }

  private async startSegment() {
    mkdirSync(this.folder, { recursive: true });
    const base = join(this.folder, `${Date.now().toString(36)}-${randomBytes(6).toString('hex')}`);
    const rows = await open(base + ROWS, 'wx+');
    const index = await open(base + INDEX, 'wx');
    return { rows, index, file: rows.fd, position: 0 };
  }

  private damaged(): UserError {
    return new UserError('bad-cache', `the cache ${this.folder} is shorter than it says; remove it (ort-tl cache rm)`);
  }
}
