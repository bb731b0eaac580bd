import { UserError } from '../errors.js';
import type { Unlabelled } from './photo.js';

/** The photos that could not be read, and how many are too many. */
export class SkippedPhotos {
  readonly list: { readonly path: string; readonly reason: string }[] = [];

  private readonly known = new Set<Unlabelled>();

  /** Whether the photo was not known to be unreadable; a further view of it counts no more. */
  add(photo: Unlabelled, reason: string): boolean {
    if (this.known.has(photo)) return false;
    this.known.add(photo);
    this.list.push({ path: photo.path, reason });
    return true;
  }

  has(photo: Unlabelled): boolean {
    return this.known.has(photo);
  }

  /** @throws UserError `too-many-unreadable` when more than `maxShare` of `total` photos were skipped. */
  check(total: number, maxShare = 0.05): void {
    if (this.list.length <= maxShare * total) return;
    const named = this.list.slice(0, 3).map(({ path }) => path);
    const others = this.list.length > named.length ? ', …' : '';
    throw new UserError(
      'too-many-unreadable',
      `${this.list.length} of ${total} photos could not be read (${named.join(', ')}${others}), more than the ${Number((100 * maxShare).toPrecision(3))} % allowed; mend or remove them, or raise the share (‹maxBad›)`,
    );
  }
}
