import type { FoundSplit } from '../dataset.js';
import { isUnprintable } from '../classNames.js';
import { REASONS, someTypes } from '../leftOut.js';
import type { Unlabelled } from '../photo.js';
import { sortedClasses } from '../sortedClasses.js';
import type { Folder } from '../tree.js';
import { classesAmong, thumbnailsIn } from './classFolders.js';
import type { LayoutAccount } from './layoutAccount.js';
import type { LayoutRefusals } from './layoutRefusals.js';
import { namesOf, photos } from './layoutWords.js';
import { detectionFileIn } from './otherTasks.js';

/** Reads class folders: their names, and the photos in them. */
export class ClassReader {
  constructor(
    private readonly account: LayoutAccount,
    private readonly refusals: LayoutRefusals,
  ) {}

  /** The classes whose folders lie in `folder`; what lies beside them is left out. */
  read(folder: Folder): FoundSplit {
    const { classes, unlabelled, repeated } = classesAmong(folder);
    for (const each of unlabelled)
      this.account.leaveOut(each, REASONS.unlabelled, 'is left out, since its name says that its photos have no class');
    for (const each of repeated)
      this.account.leaveOut(each, REASONS.stray, 'holds the same folders as stand beside it and is left out');
    if (folder.full.length > 0) this.account.leaveOutOwn(folder, 'beside the class folders');
    const byClass = new Map<string, Unlabelled[]>();
    const instead = new Map<string, string>();
    for (const each of classes) {
      const name = this.nameOf(each);
      if (name === undefined) continue;
      this.addPhotos(byClass, name, each);
      const others = [...each.othersBelow];
      if (each.photosBelow === 0 && others.length > 0) instead.set(name, someTypes(others, true));
    }
    const [only, another] = classes;
    const hint = only && !another ? this.hintFor(only, folder) : undefined;
    const source = this.account.placeOf(folder);
    return { source, classes: sortedClasses(byClass), instead, ...(hint === undefined ? {} : { hint }) };
  }

  /** What the class of a folder is called; one whose name is not UTF-8, or no line of text, is left out. */
  nameOf(folder: Folder): string | undefined {
    if (!folder.oddName && !isUnprintable(folder.name)) return folder.name.normalize('NFC');
    this.account.leaveOutMisnamed(folder, this.refusals.badClassName(folder));
    return undefined;
  }

  /** Adds the photos of a class without small copies of them. */
  addPhotos(byClass: Map<string, Unlabelled[]>, name: string, folder: Folder): void {
    const before = byClass.get(name) ?? [];
    byClass.set(name, before);
    const thumbnails = new Set(thumbnailsIn(folder));
    for (const each of thumbnails) this.account.leaveOutThumbnails(each);
    for (const photo of folder.everyPhoto(thumbnails)) before.push(photo);
  }

  /** Warns of classes that were perhaps not meant as such: those that are odd. */
  warnOfOdd(parent: Folder, isOdd: (folder: Folder) => boolean): void {
    const { classes } = classesAmong(parent);
    const odd = classes.filter(isOdd);
    if (odd.length === 0 || classes.length < 2) return;
    const [is, aClass, it] = odd.length === 1 ? ['is', 'a class', 'it'] : ['are', 'classes', 'them'];
    const beside = classes.length === 2 ? 'folder' : 'folders';
    this.account.warn(
      `${namesOf(odd)} in ${this.account.placeOf(parent)} ${is} taken for ${aClass}, as the ${beside} beside ${it}`,
    );
  }

  /** What to do about a folder that is the only class. */
  private hintFor(only: Folder, parent: Folder): string | undefined {
    const labels = detectionFileIn(only) ?? detectionFileIn(parent);
    if (labels !== undefined) return `with ${labels} it looks like a set for detection`;
    return only.full.length > 1 && only.photos.length > 0
      ? `if ${namesOf(only.full)} in ${this.account.placeOf(only)} are the classes, remove the ${photos(only.photos.length)} beside them`
      : undefined;
  }
}
