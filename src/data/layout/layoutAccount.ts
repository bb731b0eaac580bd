import type { UserError } from '../../errors.js';
import { type LeftOutCounts, REASONS } from '../leftOut.js';
import type { Folder } from '../tree.js';
import { photos, type PlaceOf } from './layoutWords.js';

/** Accounts for the photos of a tree that are left out, and keeps the lines that tell so. */
export class LayoutAccount {
  private readonly lines: string[] = [];
  /** Of the first class folder whose name no class can have. */
  misnamed: UserError | undefined;

  constructor(
    private readonly leftOut: LeftOutCounts,
    readonly placeOf: PlaceOf,
  ) {}

  get warnings(): readonly string[] {
    return this.lines;
  }

  warn(line: string): void {
    this.lines.push(line);
  }

  /** Counts a folder of small copies; the data set tells of all of them in one line. */
  leaveOutThumbnails(folder: Folder): void {
    this.leftOut.add(REASONS.thumbnails, folder.photosBelow);
  }

  /** Leaves out all photos of a folder, and tells `why`, and what is done `instead`. */
  leaveOut(folder: Folder, reason: string, why: string, instead = ''): void {
    const count = folder.photosBelow;
    if (count === 0) return;
    this.leftOut.add(reason, count);
    this.warn(`${this.placeOf(folder)} ${why}: ${photos(count)}${instead}`);
  }

  /** Leaves out a class folder whose name no class can have, which whoever opens the photos may refuse instead. */
  leaveOutMisnamed(folder: Folder, refusal: UserError): void {
    this.misnamed ??= refusal;
    this.leaveOut(folder, REASONS.misnamed, 'is left out, since no class can be called so');
  }

  /** Leaves out what lies beside the one folder that holds the classes or splits. */
  leaveOutBeside(folder: Folder, next: Folder): void {
    this.leaveOutOwn(folder, `beside ${next.name}`);
    for (const each of folder.full)
      if (each !== next) this.leaveOut(each, REASONS.stray, `stands beside ${next.name} and is left out`);
  }

  /** Leaves out the photos that lie in a folder itself, not in the folders below it. */
  leaveOutOwn(folder: Folder, where: string): void {
    const count = folder.photos.length;
    if (count === 0) return;
    this.leftOut.add(REASONS.stray, count);
    this.warn(
      `${photos(count)} in ${this.placeOf(folder)} itself ${count === 1 ? 'lies' : 'lie'} ${where} and ${count === 1 ? 'is' : 'are'} left out`,
    );
  }
}
