import { crc32 } from 'node:zlib';
import { labelKey } from './labels.js';
import type { Photo, PhotoContent } from './photo.js';
import { contentHash } from './readPhoto.js';

/** How many photos have the same content as others. */
export interface DuplicateCounts {
  /** Photos that validate and are among those that train, too. */
  readonly acrossSplits: number;
  /** Photos of which another class has one. */
  readonly acrossClasses: number;
  /** Photos that come again within their split and class. */
  readonly again: number;
}

/** Pairs that a message names. */
const NAMED_PAIRS = 2;

/** Collects what photos contain, as they are read anyway, and finds those that are the same. */
export class Duplicates {
  private readonly prints = new Map<Photo, number>();

  /** @param hash the content's, where that is known: then of all photos. */
  add(photo: Photo, content: PhotoContent, hash?: string): void {
    if (!this.prints.has(photo)) this.prints.set(photo, fingerprintOf(content, hash));
  }

  /** Photos of the same content, each group in the order of `photos`; those that are like no other are in none. */
  groups(photos: readonly Photo[]): Photo[][] {
    const byPrint = new Map<number, Photo[]>();
    for (const photo of photos) {
      const print = this.prints.get(photo);
      if (print === undefined) continue;
      const same = byPrint.get(print);
      if (same) same.push(photo);
      else byPrint.set(print, [photo]);
    }
    return [...byPrint.values()].filter(({ length }) => length > 1);
  }

  /** Counts the photos that are the same; the lines tell what spoils a training. */
  find(train: readonly Photo[], val: readonly Photo[]): { readonly counts: DuplicateCounts; readonly lines: string[] } {
    const trained = new Map<number, Photo[]>();
    const validated = new Map<number, Photo[]>();
    const splitPairs: string[] = [];
    const classPairs: string[] = [];
    let [acrossSplits, acrossClasses, again] = [0, 0, 0];
    const look = (photos: readonly Photo[], own: Map<number, Photo[]>, others?: ReadonlyMap<number, Photo[]>) => {
      for (const photo of photos) {
        const print = this.prints.get(photo);
        if (print === undefined) continue;
        const same = own.get(print) ?? [];
        const [other] = others?.get(print) ?? [];
        if (other) {
          acrossSplits++;
          splitPairs.push(`${photo.path} is ${other.path}`);
        }
        // One of each class is enough to compare with.
        const isKnown = same.some((each) => labelKey(each) === labelKey(photo));
        if (isKnown) again++;
        const alien = [...same, ...(others?.get(print) ?? [])].find((each) => labelKey(each) !== labelKey(photo));
        if (alien) {
          acrossClasses++;
          classPairs.push(`${photo.path} is ${alien.path}`);
        }
        if (!isKnown) own.set(print, [...same, photo]);
      }
    };
    look(train, trained);
    look(val, validated, trained);
    const lines: string[] = [];
    if (acrossSplits > 0)
      lines.push(
        `${acrossSplits} of the photos that validate ${acrossSplits === 1 ? 'trains' : 'train'} too (${some(splitPairs)}), so that the validation looks better than it is; remove one of each`,
      );
    if (acrossClasses > 0)
      lines.push(
        `${acrossClasses} ${acrossClasses === 1 ? 'photo is' : 'photos are'} in two classes (${some(classPairs)}); remove the wrong one of each`,
      );
    return { counts: { acrossSplits, acrossClasses, again }, lines };
  }
}

/**
 * Tells contents apart: by 52 bits of their hash, where that is known or all have one length, as pixels have; other files by their length
 * and checksum. Among 100,000 photos two that differ are hardly ever taken for the same.
 */
function fingerprintOf(content: PhotoContent, hash?: string): number {
  if (hash === undefined && !('pixels' in content)) return (content.length % 2 ** 20) * 2 ** 32 + crc32(content);
  return Number.parseInt((hash ?? contentHash(content)).slice(0, 13), 16);
}

const some = (pairs: readonly string[]) =>
  `${pairs.slice(0, NAMED_PAIRS).join(', ')}${pairs.length > NAMED_PAIRS ? ', …' : ''}`;
