import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { UserError } from '../../errors.js';
import { sha256, writeFailed } from '../../files.js';
import { photoFileName, previewOf } from '../../index.js';
import { visible } from '../../text.js';
import type { Added } from '../api.js';
import { AtMost } from './atMost.js';
import { type ScannedPhoto, stampOf } from './folderScan.js';
import { putInto } from './freePlace.js';
import { checkSize, type IncomingFiles } from './incomingFiles.js';
import { makeFolderInside } from './photoPath.js';
import { THUMBNAIL } from './thumbnailSize.js';

const MOST_BYTES = 64 * 2 ** 20;
const DECODED_AT_ONCE = 4;
const MOST_HASHES = 100_000;
const OF_IPHONES =
  'an iPhone takes JPEG itself once Settings › Camera › Formats › Most Compatible is chosen, and Photos on a Mac exports it';

/** A file that a client sends. */
export interface PhotoUpload {
  /** As the client calls it. */
  readonly name: string;
  readonly body: AsyncIterable<Uint8Array>;
  /** How many bytes it says that it has. */
  readonly bytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where a new photo of a class belongs: a folder below that of photos. */
export interface ClassPlace {
  readonly class: string;
  readonly folder: string;
}

interface PlacedFile {
  readonly path: string;
  readonly stamp: string;
}

interface AdderParts {
  readonly incoming: IncomingFiles;
  /** Has whatever changes photos done one after another. */
  readonly changes: AtMost;
  readonly keepThumbnail: (path: string, stamp: string, webp: Buffer) => void;
}

/** Adds photos to classes: those that can be read, once, and never in another's place. */
export class PhotoAdder {
  private readonly decoding = new AtMost(DECODED_AT_ONCE);
  /** A class and a number of bytes → the photos there. */
  private bySize = new Map<string, PlacedFile[]>();
  private recent: (PlacedFile & { readonly key: string; readonly since: number })[] = [];
  /** A file's path and stamp → its hash, of those that were compared. */
  private readonly hashes = new Map<string, string>();
  private looks = 0;

  /** @param root the folder of photos. */
  constructor(
    private readonly root: string,
    private readonly parts: AdderParts,
  ) {}

  /** Says that the folder is looked at from now on. What it gives, {@link know} takes. */
  mark(): number {
    return this.looks++;
  }

  /** Takes what was seen in the folder; what was added since the look began may not be among it. */
  know(photos: ReadonlyMap<string, readonly ScannedPhoto[]>, mark: number): void {
    this.bySize = new Map();
    for (const [name, all] of photos) for (const photo of all) this.remember(keyOf(name, photo.bytes), photo);
    this.recent = this.recent.filter(({ since }) => since > mark);
    for (const { key, ...photo } of this.recent) this.remember(key, photo);
    if (this.hashes.size > MOST_HASHES) this.hashes.clear();
  }

  /**
   * Adds a photo that arrives. `target` is asked when it is there, since classes may have been renamed meanwhile.
   * @throws UserError `too-large`, `cut-off`, `unreadable-photo`, `write-failed`, and what `target` throws.
   */
  async add(target: () => ClassPlace, { name, body, bytes, signal }: PhotoUpload): Promise<Added> {
    const file = { name, body, bytes, most: MOST_BYTES, what: 'photo' };
    checkSize(file, bytes ?? 0);
    // What arrives goes to the disk at once: one who sends nothing keeps nobody waiting.
    return this.parts.incoming.receive(file, (path) =>
      this.decoding.run(async () => this.place(target, name, path, await readFile(path)), signal),
    );
  }

  /** Adds a photo that is here already. @throws as {@link add} does. */
  async addBytes(target: () => ClassPlace, name: string, bytes: Buffer): Promise<Added> {
    const file = { name, body: inOne(bytes), bytes: bytes.length, most: MOST_BYTES, what: 'photo' };
    return this.parts.incoming.receive(file, (path) => this.decoding.run(() => this.place(target, name, path, bytes)));
  }

  private async place(target: () => ClassPlace, name: string, path: string, bytes: Buffer): Promise<Added> {
    const thumbnail = await thumbnailOfUpload(bytes, name);
    return this.parts.changes.run(async () => {
      const place = target();
      const key = keyOf(place.class, bytes.length);
      const same = await this.findSame(key, bytes);
      if (same !== undefined) return { outcome: 'duplicate', path: same };
      try {
        const folder = await makeFolderInside(this.root, place.folder.split('/'));
        const put = await putInto(folder, photoFileName(name, bytes), path);
        const own = `${place.folder}/${basename(put)}`;
        const stamp = stampOf(await stat(put));
        this.recent.push({ key, path: own, stamp, since: this.looks });
        this.remember(key, { path: own, stamp });
        this.parts.keepThumbnail(own, stamp, thumbnail);
        return { outcome: 'added', path: own };
      } catch (cause) {
        throw cause instanceof UserError ? cause : writeFailed(join(this.root, place.folder), cause);
      }
    });
  }

  /** The path of a photo with the same bytes. */
  private async findSame(key: string, bytes: Buffer): Promise<string | undefined> {
    const others = this.bySize.get(key) ?? [];
    if (others.length === 0) return undefined;
    const own = sha256(bytes);
    for (const other of others) {
      if ((await this.hashOf(other)) !== own) continue;
      // It may have gone since it was compared last.
      const there = await readFile(join(this.root, other.path)).catch(() => undefined);
      if (there?.equals(bytes)) return other.path;
    }
    return undefined;
  }

  /** undefined of a file that is not there any more. */
  private async hashOf({ path, stamp }: PlacedFile): Promise<string | undefined> {
    const key = `${stamp}/${path}`;
    const known = this.hashes.get(key);
    if (known !== undefined) return known;
    const bytes = await readFile(join(this.root, path)).catch(() => undefined);
    if (!bytes) return undefined;
    const hash = sha256(bytes);
    this.hashes.set(key, hash);
    return hash;
  }

  private remember(key: string, photo: PlacedFile): void {
    const photos = this.bySize.get(key);
    if (photos) photos.push(photo);
    else this.bySize.set(key, [photo]);
  }
}

const keyOf = (name: string, bytes: number) => `${bytes}/${name}`;

/** Decodes the whole photo. @throws UserError `unreadable-photo`, of a HEIC photo with a word on how to get others. */
async function thumbnailOfUpload(bytes: Buffer, name: string): Promise<Buffer> {
  try {
    return await previewOf(bytes, { ...THUMBNAIL, name: visible(name) });
  } catch (thrown) {
    if (!(thrown instanceof UserError) || !/\bHEIC\b.*which is not read/.test(thrown.text)) throw thrown;
    throw new UserError(thrown.code, `${thrown.text}; ${OF_IPHONES}`, { cause: thrown });
  }
}

// eslint-disable-next-line @typescript-eslint/require-await
async function* inOne(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}
