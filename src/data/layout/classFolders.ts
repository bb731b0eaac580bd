import { isOtherPicture } from '../photoTypes.js';
import { roleOf } from '../splitNames.js';
import type { Folder } from '../tree.js';
import { commonFolders } from './splitFolders.js';

/** Folders that go with photos and are no classes, where they hold none. */
const COMPANIONS =
  /^(docs?|documentation|annotations?|annos?|labels?|meta(data)?|src|scripts?|code|notebooks?|models?|licen[sc]es?|csvs?|lists?|splits?|tools|utils)$/i;
/** Folders of pictures that go with a set of photos as its description does. */
const ASIDE = /^(docs?|documentation|assets?|fig(ure)?s?|samples?|examples?|previews?|demos?|screenshots?)$/i;
/** What galleries call the folder of small copies that they make beside photos. */
const THUMBNAILS = /^(_|zb)?thumb(s|nails?)?$/i;
/** What a folder beside classes is called whose photos have none. */
const UNLABELLED = /^(un[ _-]?label|no[ _-]?label)/i;
/** What people call a folder of photos whose classes are not told; those who need some folder call it `0`. */
const UNCLASSED =
  /^(images?|imgs?|jpegimages|pictures?|pics?|photos?|files?|data|all|mixed|unknowns?|unclassified|un[ _-]?label.*|no[ _-]?(label|class).*|0)$/i;

/** The folders of a folder, by whether they are classes. */
export interface ClassFolders {
  readonly classes: readonly Folder[];
  /** Their names say that their photos have no class. */
  readonly unlabelled: readonly Folder[];
  /** They hold folders of the same names as all that stand beside them, as a set that was unpacked into itself does. */
  readonly repeated: readonly Folder[];
}

/** Which folders of `folder` are classes, given that some are. */
export function classesAmong(folder: Folder): ClassFolders {
  const all = [...folder.folders.values()].filter((each) => each.photosBelow > 0 || !isCompanion(each));
  const isUnlabelled = ({ name, full }: Folder) => full.length === 0 && saysUnlabelled(name);
  const isRepeated = (each: Folder) => {
    const beside = folder.full.filter((other) => other !== each);
    return beside.length > 1 && each.photos.length === 0 && commonFolders(each, folder).length === beside.length;
  };
  const repeated = all.filter((each) => isRepeated(each));
  const classes = all.filter((each) => !isUnlabelled(each) && !repeated.includes(each));
  return classes.length > 1
    ? { classes, unlabelled: all.filter(isUnlabelled), repeated }
    : { classes: all, unlabelled: [], repeated: [] };
}

/** Whether a folder of a split is one of the classes that train, and holds no folders that all are. */
export function isClass(folder: Folder, known: ReadonlySet<string>): boolean {
  const isKnown = ({ name }: Folder) => known.has(name.normalize('NFC'));
  const holdsClasses = folder.photos.length === 0 && folder.full.length > 0 && folder.full.every(isKnown);
  return isKnown(folder) && !holdsClasses;
}

/** The only folder of a split, where it is called as what holds photos of all classes is, and is no class that trains. */
export function unclassedIn(split: Folder, known: ReadonlySet<string>): Folder | undefined {
  const [only, another] = split.full;
  if (!only || another || only.full.length > 0 || isClass(only, known)) return undefined;
  return UNCLASSED.test(only.name) || roleOf(only.name) !== undefined ? only : undefined;
}

/** Whether a folder holds folders without photos that are as likely classes as those with photos. */
export function hasEmptyClasses(folder: Folder): boolean {
  return [...folder.folders.values()].some((each) => each.photosBelow === 0 && !isCompanion(each));
}

/** Whether a name says that the photos in a folder have no class. */
export const saysUnlabelled = (name: string): boolean => UNLABELLED.test(name);

/** Whether a folder without photos that is called so is rather something that goes with photos than a class. */
export const isCompanionName = (name: string): boolean => COMPANIONS.test(name);

function isCompanion(folder: Folder): boolean {
  return isCompanionName(folder.name) && ![...folder.othersBelow.keys()].some(isOtherPicture);
}

/** Whether a folder holds pictures that describe the set beside it. */
export const isAside = ({ name, full }: Folder) => full.length === 0 && ASIDE.test(name);

/** Whether a class that is called so was hardly meant as one. */
export const isOddClass = ({ name }: Folder) => ASIDE.test(name) || THUMBNAILS.test(name);

/** Folders of small copies of the photos beside them, at any depth. */
export function* thumbnailsIn(folder: Folder): Generator<Folder> {
  for (const each of folder.folders.values()) {
    if (folder.photos.length > 0 && THUMBNAILS.test(each.name)) yield each;
    else yield* thumbnailsIn(each);
  }
}
