import { UserError } from '../../errors.js';
import { previewOf } from '../../index.js';
import { AtMost } from './atMost.js';
import { stampOf } from './folderScan.js';
import { LARGE, THUMBNAIL } from './thumbnailSize.js';

const MOST_KEPT_BYTES = 64 * 2 ** 20;
const DECODED_AT_ONCE = 2;

const SIZES = { thumbnail: THUMBNAIL, photo: LARGE } as const;
type Kind = keyof typeof SIZES;

/** Finds a photo's file by its path in the project. @throws UserError where there is none that may be shown. */
type FileOf = (path: string) => Promise<{ readonly path: string; readonly mtimeMs: number; readonly size: number }>;

export interface Thumbnail {
  readonly bytes: Buffer;
  readonly type: 'image/webp' | 'image/jpeg';
  /** Of the file that it was made of. */
  readonly stamp: string;
}

/**
 * Photos as a page shows them, small or by themselves, made when they are asked for. The last one that was asked for is made first: whoever
 * scrolls fast does not wait for what has gone.
 */
export class Thumbnails {
  private readonly making: Readonly<Record<Kind, AtMost>> = {
    thumbnail: new AtMost(DECODED_AT_ONCE, 'newest first'),
    photo: new AtMost(DECODED_AT_ONCE, 'newest first'),
  };
  /** The one that was asked for last comes last. */
  private readonly kept = new Map<string, Buffer>();
  private bytes = 0;

  constructor(private readonly fileOf: FileOf) {}

  /** @throws UserError `no-such-photo`, `bad-path`, `unreadable-photo`; the signal's reason where nobody waits for it any more. */
  async get(kind: Kind, path: string, signal?: AbortSignal): Promise<Thumbnail> {
    const file = await this.fileOf(path);
    const stamp = stampOf(file);
    const key = keyOf(kind, path, stamp);
    const kept = this.find(key);
    if (kept) return { bytes: kept, stamp, type: TYPES[kind] };
    const bytes = await this.making[kind].run(async () => {
      const made = this.find(key) ?? (await previewOf({ path: file.path }, SIZES[kind]).catch(named(file.path, path)));
      this.keep(key, made);
      return made;
    }, signal);
    return { bytes, stamp, type: TYPES[kind] };
  }

  /** Keeps a thumbnail that was made elsewhere. */
  add(path: string, stamp: string, webp: Buffer): void {
    this.keep(keyOf('thumbnail', path, stamp), webp);
  }

  private find(key: string): Buffer | undefined {
    const found = this.kept.get(key);
    if (!found) return undefined;
    this.kept.delete(key);
    this.kept.set(key, found);
    return found;
  }

  private keep(key: string, bytes: Buffer): void {
    this.bytes += bytes.length - (this.kept.get(key)?.length ?? 0);
    this.kept.delete(key);
    this.kept.set(key, bytes);
    for (const [old, { length }] of this.kept) {
      if (this.bytes <= MOST_KEPT_BYTES) break;
      this.kept.delete(old);
      this.bytes -= length;
    }
  }
}

const TYPES = { thumbnail: 'image/webp', photo: 'image/jpeg' } as const;
const keyOf = (kind: Kind, path: string, stamp: string) => `${kind}/${stamp}/${path}`;

/** Calls a file as the page does. */
const named = (file: string, path: string) => (thrown: unknown) => {
  throw thrown instanceof UserError
    ? new UserError(thrown.code, thrown.text.replace(file, path), { cause: thrown })
    : thrown;
};
