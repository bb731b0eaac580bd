import { UserError } from '../errors.js';
import type { Photo } from './photo.js';
import { decodePhoto } from './decode.js';
import type { Preprocessing } from '../artifacts/manifest.js';

export interface ReadOptions {
  /** How many photos may be decoding, or decoded and not yet taken. */
  readonly concurrency: number;
}

export interface ReadPhoto<Decoded> {
  /** Place in the list that was read. */
  readonly index: number;
  readonly photo: Photo;
  readonly decoded: Decoded;
}

/** A photo that could not be read. */
export interface UnreadablePhoto {
  /** Place in the list that was read. */
  readonly index: number;
  readonly photo: Photo;
  readonly error: UserError;
}

/** Decodes many photos at once, in bounded memory. */
export class PhotoReader<Decoded = Uint8Array> {
  /** @param decode throws the `UserError` for which a photo cannot be read. */
  constructor(private readonly decode: (photo: Photo, preprocessing: Preprocessing) => Promise<Decoded>) {}

  /** One that gives the photos as they are, uint8 RGB [height, width, 3]. */
  static ofPixels(): PhotoReader {
    return new PhotoReader(decodePhoto);
  }

  /** The photos in the order given, with those that cannot be read at their place in it. @throws any other error of one. */
  async *read(
    photos: readonly Photo[],
    preprocessing: Preprocessing,
    { concurrency }: ReadOptions,
  ): AsyncGenerator<ReadPhoto<Decoded> | UnreadablePhoto> {
    const start = (index: number, photo: Photo) => ({
      index,
      photo,
      // Settled into a value: a rejection that waits for its turn would count as unhandled.
      outcome: this.decode(photo, preprocessing).then(
        (decoded) => ({ decoded }),
        (error: unknown) => ({ error }),
      ),
    });
    const waiting = photos.entries();
    const ahead: ReturnType<typeof start>[] = [];
    try {
      while (true) {
        while (ahead.length < Math.max(1, concurrency)) {
          const next = waiting.next();
          if (next.done) break;
          ahead.push(start(...next.value));
        }
        const first = ahead.shift();
        if (!first) return;
        const { index, photo } = first;
        const outcome = await first.outcome;
        if ('decoded' in outcome) yield { index, photo, decoded: outcome.decoded };
        else if (outcome.error instanceof UserError) yield { index, photo, error: outcome.error };
        else throw outcome.error;
      }
    } finally {
      await Promise.all(ahead.map(({ outcome }) => outcome));
    }
  }
}
