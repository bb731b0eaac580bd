import { join } from 'node:path';
import { UserError } from '../errors.js';
import type { FoundSplit, FoundSplits } from './dataset.js';
import type { Unlabelled } from './photo.js';
import { type LeftOutCounts, REASONS, someTypes } from './leftOut.js';
import { otherFormatIn } from './otherFormats.js';
import { isOtherPicture } from './photoTypes.js';
import { type Role, roleOf, rolesOf } from './splitNames.js';
import type { Folder, Tree } from './tree.js';

/** What a tree of photos is: which folders are splits, and which of them classes. */
export interface Layout {
  readonly splits: FoundSplits;
  /** One line each: what was left out, or may be taken for something else than was meant. */
  readonly warnings: readonly string[];
  /** Why it holds no classes. */
  readonly problem?: UserError;
}

/** Folders that go with photos and are no classes, where they hold none. */
const COMPANIONS =
  /^(docs?|documentation|annotations?|annos?|labels?|meta(data)?|src|scripts?|code|notebooks?|models?|licen[sc]es?|csvs?|lists?|splits?|tools|utils)$/i;
/** Folders of examples; a class is hardly called so. */
const EXAMPLES = /^(samples?|examples?|previews?|extras?|demos?)$/i;
/** Folders of pictures that go with a set of photos as its description does. */
const ASIDE = /^(docs?|documentation|assets?|fig(ure)?s?|samples?|examples?|previews?|demos?|screenshots?)$/i;
/** What galleries call the folder of small copies that they make beside photos. */
const THUMBNAILS = /^(_|zb)?thumb(s|nails?)?$/i;
const PICTURES = /^(images?|imgs?|jpegimages|leftimg8bit|pictures|pics|photos)([ _-]?\d+)?$/i;
/** What people call a folder of photos whose classes are not told; `0` is of those who need some folder. */
const UNCLASSED =
  /^(images?|imgs?|jpegimages|pictures?|pics?|photos?|files?|data|all|mixed|unknowns?|unclassified|un[ _-]?label.*|no[ _-]?(label|class).*|0)$/i;
const LABELS = /^(labels?|lbls?|annotations?|ann(o|ot)?s?|xmls?|bboxes|txts?)([ _-]?(xmls?|txts?|\d+))?$/i;
const MASKS =
  /^(masks?|labels?|annotations?|ann(o|ot)?s?|ground[ _-]?truths?|gt(fine|coarse)?s?|segmentations?|segmentation(class|object))([ _-]?\d+)?$/i;
/** What sets for detection have beside their pictures. */
const DETECTION_FILES =
  /(coco\.json|^_annotations\.(txt|csv)|^_darknet\.labels|^instances_.*\.json|^data\.ya?ml|\.names)$/i;

/**
 * Reads which folders of a tree are splits and which are classes. A folder round all is looked through; `train`, `val` and `test`
 * are splits by whatever names people give them; the others are classes, with the photos at any depth below them. What lies in none
 * is counted as left out. It throws nothing: what is wrong comes as a `problem`.
 */
export function readLayout(tree: Tree, source: string, expected: string): Layout {
  return new LayoutReader(tree.leftOut, source, expected).read(tree.root);
}

/** Thrown and caught here alone. */
class Problem extends Error {
  constructor(readonly error: UserError) {
    super(error.message);
  }
}

interface Splits {
  readonly folders: ReadonlyMap<Role, readonly Folder[]>;
  /** Folders with photos that are none. */
  readonly others: readonly Folder[];
  /** The one folder beside a split that holds the same folders, so that both may be splits, or classes. */
  readonly unclear?: Folder | undefined;
}

class LayoutReader {
  private readonly warnings: string[] = [];

  constructor(
    private readonly leftOut: LeftOutCounts,
    private readonly source: string,
    private readonly expected: string,
  ) {}

  read(root: Folder): Layout {
    try {
      if (root.photosBelow === 0) throw this.nothingIn(root);
      const splits = this.readBelow(root);
      return { splits, warnings: this.warnings };
    } catch (thrown) {
      if (!(thrown instanceof Problem)) throw thrown;
      return { splits: {}, warnings: this.warnings, problem: thrown.error };
    }
  }

  private readBelow(root: Folder): FoundSplits {
    let top = root;
    for (let next: Folder | undefined = top; next; next = wrappedIn(top)) {
      if (next !== top) this.leaveOutBeside(top, next);
      top = next;
      this.refuseOtherTask(top);
      if (splitsOf(top)) break;
    }
    const splits = splitsOf(top);
    if (splits) return this.readSplits(top, splits);
    const byClass = this.splitsByClass(top);
    if (byClass) return byClass;
    this.refuseSetAmongClasses(top);
    const [only, another] = top.full;
    if (!only || (!another && top.photos.length >= only.photosBelow)) throw this.flat(top);
    this.warnOfLikeness(top);
    return { train: this.classesOf(top) };
  }

  /** Splits that stand beside each other, each with its class folders. */
  private readSplits(top: Folder, found: Splits): FoundSplits {
    const folders = this.oneOfEach(found);
    const unlabelled = (found.folders.get('none') ?? []).filter((each) => each.photosBelow > 0);
    const named = namesOf([...folders.values(), ...unlabelled]);
    for (const each of found.others) this.leaveOut(each, REASONS.stray, `stands beside ${named} and is left out`);
    this.leaveOutOwn(top, `beside ${named}`);
    for (const each of unlabelled)
      this.leaveOut(each, REASONS.unlabelled, 'is left out, since its photos are there to be predicted');
    const splits: { -readonly [Key in keyof FoundSplits]: FoundSplits[Key] } = {};
    const train = folders.get('train');
    if (train) {
      const inner = this.unwrapSplit(train, new Set());
      if (inner.full.length === 0 && inner.photosBelow > 0) throw this.flat(inner, top);
      splits.train = this.classesOf(inner);
      this.warnOfClasses(inner, isOddClass);
    }
    const known = new Set(splits.train?.classes.keys());
    const flat: Folder[] = [];
    for (const role of ['val', 'test'] as const) {
      const folder = folders.get(role);
      if (!folder) continue;
      const inner = this.unwrapSplit(folder, known);
      const only = known.size > 1 ? unclassedIn(inner, known) : undefined;
      if (only) {
        this.leaveOutOwn(inner, `beside ${only.name}`);
        flat.push(only);
      } else if (inner.photosBelow === 0 || inner.full.length > 0) splits[role] = this.classesOf(inner);
      else flat.push(inner);
    }
    const [first] = flat;
    if (first && !splits.train && !splits.val && !splits.test) throw this.flat(first);
    const instead = splits.train && !splits.val && !splits.test ? '; a part of what trains validates' : '';
    for (const each of flat)
      this.leaveOut(each, REASONS.unlabelled, 'is left out, since it has no class folders', instead);
    return splits;
  }

  private oneOfEach({ folders, unclear }: Splits): ReadonlyMap<Exclude<Role, 'none'>, Folder> {
    const one = new Map<Exclude<Role, 'none'>, Folder>();
    for (const [role, all] of folders) {
      if (role === 'none') continue;
      const full = all.filter((each) => each.photosBelow > 0);
      const [first, second] = full.length > 0 ? full : all;
      if (first && second)
        throw this.ambiguous(
          `${this.place(first)} and ${this.place(second)} are both called as photos to ${PURPOSES[role]} with are; put them into one folder, or rename one`,
        );
      if (first) one.set(role, first);
    }
    const [split] = one.values();
    if (split && unclear)
      throw this.ambiguous(
        `${this.place(split)} and ${this.place(unclear)} hold folders of the same names (${list(commonFolders(split, unclear))}); if these are the classes, call the other folder train, val or test, and if not, rename ${split.name}`,
      );
    return one;
  }

  /** Looks through a folder that repeats the split's name, or holds all of it. */
  private unwrapSplit(split: Folder, known: ReadonlySet<string>): Folder {
    let folder = split;
    while (true) {
      this.refuseOtherTask(folder);
      const next = repeatedIn(folder, split, known) ?? wrappedIn(folder, known);
      if (!next) return folder;
      this.leaveOutBeside(folder, next);
      folder = next;
    }
  }

  /** `cat/train`, `cat/val`, `dog/train` …: each class with its own splits; undefined where it is not so. */
  private splitsByClass(top: Folder): FoundSplits | undefined {
    const classes = top.full.map((folder) => ({ folder, splits: splitsOf(folder) }));
    const some = classes.flatMap(({ folder, splits }) =>
      splits && splits.folders.size > 1 ? [{ folder, splits }] : [],
    );
    const [first] = some;
    if (!first || classes.length < 2) return undefined;
    const bare = classes.find(({ folder }) => !some.some((each) => each.folder === folder));
    if (bare)
      throw this.ambiguous(
        `${this.place(first.folder)} holds ${namesOf([...first.splits.folders.values()].flat())}, and ${this.place(bare.folder)} does not; give each class the same splits, or none`,
      );
    const byRole = new Map<Role, Map<string, Unlabelled[]>>();
    for (const { folder, splits } of some) {
      for (const [role, split] of this.oneOfEach(splits)) {
        const byClass = byRole.get(role) ?? new Map<string, Unlabelled[]>();
        byRole.set(role, byClass);
        this.addPhotos(byClass, this.className(folder), split);
      }
      const left = [...splits.others, ...(splits.folders.get('none') ?? [])];
      for (const each of left) this.leaveOut(each, REASONS.stray, 'stands beside splits and is left out');
      this.leaveOutOwn(folder, 'beside its splits');
    }
    this.leaveOutOwn(top, 'beside the class folders');
    return Object.fromEntries(
      [...byRole].map(([role, byClass]) => [role, { source: this.place(top), classes: sorted(byClass) }]),
    );
  }

  private classesOf(folder: Folder): FoundSplit {
    const { classes, unlabelled, repeated } = classesAmong(folder);
    for (const each of unlabelled)
      this.leaveOut(each, REASONS.unlabelled, 'is left out, since its name says that its photos have no class');
    for (const each of repeated)
      this.leaveOut(each, REASONS.stray, 'holds the same folders as stand beside it and is left out');
    if (folder.full.length > 0) this.leaveOutOwn(folder, 'beside the class folders');
    const byClass = new Map<string, Unlabelled[]>();
    const instead = new Map<string, string>();
    for (const each of classes) {
      const name = this.className(each);
      this.addPhotos(byClass, name, each);
      const others = [...each.othersBelow];
      if (each.photosBelow === 0 && others.length > 0) instead.set(name, someTypes(others, true));
    }
    const [only, another] = classes;
    const hint = only && !another ? this.hintFor(only, folder) : undefined;
    return { source: this.place(folder), classes: sorted(byClass), instead, ...(hint === undefined ? {} : { hint }) };
  }

  /** What to do about a folder that is the only class. */
  private hintFor(only: Folder, parent: Folder): string | undefined {
    const labels = detectionFileIn(only) ?? detectionFileIn(parent);
    if (labels !== undefined) return `with ${labels} it looks like a set for detection`;
    return only.full.length > 1 && only.photos.length > 0
      ? `if ${namesOf(only.full)} in ${this.place(only)} are the classes, remove the ${photos(only.photos.length)} beside them`
      : undefined;
  }

  /** Adds the photos of a class without small copies of them. */
  private addPhotos(byClass: Map<string, Unlabelled[]>, name: string, folder: Folder): void {
    const before = byClass.get(name) ?? [];
    byClass.set(name, before);
    const thumbnails = new Set(thumbnailsIn(folder));
    for (const each of thumbnails) this.leftOut.add(REASONS.thumbnails, each.photosBelow);
    for (const photo of folder.everyPhoto(thumbnails)) before.push(photo);
  }

  /** @throws Problem where one of the classes would hold a whole data set. */
  private refuseSetAmongClasses(parent: Folder): void {
    const [first, second] = parent.full;
    for (const each of second ? parent.full : []) {
      const set = setBelow(each);
      if (!set) continue;
      const other = each === first ? second : first;
      throw this.ambiguous(
        `${this.place(set)} holds ${namesOf(set.full)} with class folders, and other photos lie in ${other ? this.place(other) : this.source}; keep one of them, or name the folder to take (‹data›)`,
      );
    }
  }

  /** A line for classes that were perhaps not meant as such. */
  private warnOfClasses(parent: Folder, isOdd: (folder: Folder) => boolean): void {
    const { classes } = classesAmong(parent);
    const odd = classes.filter(isOdd);
    if (odd.length === 0 || classes.length < 2) return;
    const [is, aClass, it] = odd.length === 1 ? ['is', 'a class', 'it'] : ['are', 'classes', 'them'];
    const beside = classes.length === 2 ? 'folder' : 'folders';
    this.warnings.push(
      `${namesOf(odd)} in ${this.place(parent)} ${is} taken for ${aClass}, as the ${beside} beside ${it}`,
    );
  }

  /** Classes that may have been meant as something else. */
  private warnOfLikeness(parent: Folder): void {
    const { classes } = classesAmong(parent);
    const roles = rolesOf(classes.map(({ name }) => name));
    this.warnOfClasses(parent, (each) => roles.has(each.name) || isOddClass(each));
    const [first] = classes;
    const inside = (each: Folder) => each.full.map(({ name }) => name).sort();
    const same = first ? inside(first) : [];
    if (
      classes.length > 1 &&
      same.length > 1 &&
      classes.every((each) => each.photos.length === 0 && inside(each).join('/') === same.join('/'))
    )
      this.warnings.push(
        `${namesOf(classes)} are taken for the classes, and each of them holds ${list(same)}; if these are the classes, call the folders above them train, val and test`,
      );
  }

  private className(folder: Folder): string {
    if (folder.oddName)
      throw new Problem(
        new UserError(
          'bad-class-name',
          `the name of the class folder ${this.place(folder)} is not UTF-8; rename it, as convmv -f latin1 -t utf8 --notest does for Latin-1`,
        ),
      );
    return folder.name.normalize('NFC');
  }

  private leaveOut(folder: Folder, reason: string, why: string, then = ''): void {
    const count = folder.photosBelow;
    if (count === 0) return;
    this.leftOut.add(reason, count);
    this.warnings.push(`${this.place(folder)} ${why}: ${photos(count)}${then}`);
  }

  /** What lies beside the one folder that holds the classes or splits. */
  private leaveOutBeside(folder: Folder, next: Folder): void {
    this.leaveOutOwn(folder, `beside ${next.name}`);
    for (const each of folder.full)
      if (each !== next) this.leaveOut(each, REASONS.stray, `stands beside ${next.name} and is left out`);
  }

  private leaveOutOwn(folder: Folder, where: string): void {
    const count = folder.photos.length;
    if (count === 0) return;
    this.leftOut.add(REASONS.stray, count);
    this.warnings.push(
      `${photos(count)} in ${this.place(folder)} itself ${count === 1 ? 'lies' : 'lie'} ${where} and ${count === 1 ? 'is' : 'are'} left out`,
    );
  }

  private refuseOtherTask(folder: Folder): void {
    const kind = otherTaskOf(folder);
    if (kind === undefined) return;
    throw new Problem(
      new UserError(
        'no-classes',
        `${this.place(folder)} looks like a set for ${kind}; a classifier needs a folder for each class, <folder>/<class>/*.jpg`,
      ),
    );
  }

  /** Photos without class folders. */
  private flat(folder: Folder, above = folder): Problem {
    const count = folder.photos.length;
    const what = count === 1 ? '1 photo lies' : `${count} photos lie`;
    const labels = detectionFileIn(folder) ?? labelsIn(above)?.name;
    const hint = labels === undefined ? '' : ` (with ${labels} beside them, as in a set for detection)`;
    return new Problem(
      new UserError(
        'no-photos',
        `${what} in ${this.place(folder)} itself, not in class folders${hint}; ${this.expected}`,
      ),
    );
  }

  private ambiguous(message: string): Problem {
    return new Problem(new UserError('ambiguous-layout', message));
  }

  private nothingIn(root: Folder): Problem {
    const names = [...root.everyFolder()].flatMap(({ otherNames }) => otherNames);
    const format = otherFormatIn(names);
    const others = [...root.othersBelow];
    const instead = format ?? (others.length > 0 ? `it holds ${someTypes(others, true)}` : undefined);
    return new Problem(
      new UserError(
        'no-photos',
        `no photos found in ${this.place(root)}${instead === undefined ? '' : `: ${instead}`}; ${this.expected}`,
      ),
    );
  }

  private place(folder: Folder): string {
    return join(this.source, ...folder.parts);
  }
}

const PURPOSES = { train: 'train', val: 'validate', test: 'test' } as const;

/** Which folders of `top` are splits; undefined where they are classes, one of which may be called "train". */
function splitsOf(top: Folder): Splits | undefined {
  const all = [...top.folders.values()];
  const roles = rolesOf(all.map(({ name }) => name));
  const folders = new Map<Role, Folder[]>();
  for (const folder of all) {
    const role = roles.get(folder.name);
    if (role !== undefined) folders.set(role, [...(folders.get(role) ?? []), folder]);
  }
  // Of training, validation and evaluation, as of Food-11, the last is to test with.
  const val = folders.get('val') ?? [];
  const last = val.filter(({ name }) => /eval/i.test(name));
  if (last.length > 0 && last.length < val.length && !folders.has('test')) {
    folders.set(
      'val',
      val.filter((each) => !last.includes(each)),
    );
    folders.set('test', last);
  }
  const parts = [...folders].flatMap(([role, some]) => (role === 'none' ? [] : some));
  if (parts.every(({ photosBelow }) => photosBelow === 0)) return undefined;
  const isOnlyRole = parts.every(({ name }) => roles.get(name) === roles.get(parts[0]?.name ?? ''));
  const isNested = parts.some(({ full }) => full.length > 0);
  const others = all.filter((folder) => folder.photosBelow > 0 && !roles.has(folder.name));
  const [beside, ...further] = others.filter(({ name }) => !EXAMPLES.test(name));
  if (isOnlyRole && beside) {
    const like = further.length === 0 && parts.some((part) => commonFolders(part, beside).length > 0);
    return like ? { folders, others: [], unclear: beside } : undefined;
  }
  // Two classes or more, and others called "train" and "test".
  if (further.length > 0 && !isNested) return undefined;
  // One class alone, called "train".
  if (isOnlyRole && !isNested) return undefined;
  return { folders, others };
}

/** Names of folders with photos that both hold. */
function commonFolders(a: Folder, b: Folder): string[] {
  const names = new Set(a.full.map(({ name }) => name));
  return b.full.map(({ name }) => name).filter((name) => names.has(name));
}

/** The folder that holds all that `folder` holds; undefined where it is a class, one of `known`, or one class among others. */
function wrappedIn(folder: Folder, known: ReadonlySet<string> = new Set()): Folder | undefined {
  const [only, another] = folder.full.length === 1 ? folder.full : folder.full.filter((each) => !isAside(each));
  if (!only || another || isClass(only, known)) return undefined;
  if (folder.full.length > 1 && only.full.length < 2) return undefined;
  if (folder.photos.length >= only.photosBelow) return undefined;
  if (splitsOf(only)) return only;
  if (emptyClassesOf(folder).length > 0) return undefined;
  if (only.full.length === 1) return only.photos.length === 0 || wrappedIn(only) ? only : undefined;
  return only.full.length > 1 && only.photosBelow > 2 * only.photos.length ? only : undefined;
}

const isAside = ({ name, full }: Folder) => full.length === 0 && ASIDE.test(name);

/** Whether a folder of a split is one of the classes that train, and holds no folders that all are. */
function isClass(folder: Folder, known: ReadonlySet<string>): boolean {
  const isKnown = ({ name }: Folder) => known.has(name.normalize('NFC'));
  const holdsClasses = folder.photos.length === 0 && folder.full.length > 0 && folder.full.every(isKnown);
  return isKnown(folder) && !holdsClasses;
}

/** The only folder of a split, where it is called as what holds photos of all classes is, and is no class that trains. */
function unclassedIn(split: Folder, known: ReadonlySet<string>): Folder | undefined {
  const [only, another] = split.full;
  if (!only || another || only.full.length > 0 || isClass(only, known)) return undefined;
  return UNCLASSED.test(only.name) || roleOf(only.name) !== undefined ? only : undefined;
}

/** The only folder of a split that is called as it is. */
function repeatedIn(folder: Folder, split: Folder, known: ReadonlySet<string>): Folder | undefined {
  const [only, another] = folder.full;
  if (!only || another || isClass(only, known) || emptyClassesOf(folder).length > 0) return undefined;
  const role = roleOf(only.name);
  const repeats = only.name === folder.name || (role !== undefined && role === roleOf(split.name));
  return repeats && (only.full.length > 0 || folder.photos.length === 0) ? only : undefined;
}

/** Folders without photos that are as likely classes as those with photos. */
function emptyClassesOf(folder: Folder): Folder[] {
  return [...folder.folders.values()].filter((each) => each.photosBelow === 0 && !isCompanion(each));
}

function isCompanion(folder: Folder): boolean {
  return COMPANIONS.test(folder.name) && ![...folder.othersBelow.keys()].some(isOtherPicture);
}

interface Classes {
  readonly classes: Folder[];
  /** Their names say that their photos have no class. */
  readonly unlabelled: Folder[];
  /** They hold folders of the same names as all that stand beside them, as a set that was unpacked into itself. */
  readonly repeated: Folder[];
}

function classesAmong(folder: Folder): Classes {
  const all = [...folder.folders.values()].filter((each) => each.photosBelow > 0 || !isCompanion(each));
  const isUnlabelled = ({ name, full }: Folder) => full.length === 0 && /^(un[ _-]?label|no[ _-]?label)/i.test(name);
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

/** What a folder with pictures and their labels apart is for; undefined where it is a classifier's. */
function otherTaskOf(folder: Folder): string | undefined {
  const pictures = folder.full.find(({ name }) => PICTURES.test(name));
  if (!pictures) return undefined;
  const isFlat = pictures.full.every(({ name, full }) => roleOf(name) !== undefined && full.length === 0);
  if (!isFlat && !/^leftimg8bit$/i.test(pictures.name)) return undefined;
  const others = folder.full.filter((each) => each !== pictures);
  const [mask] = others;
  if (mask && others.every(({ name }) => MASKS.test(name))) return `segmentation (${pictures.name}/ and ${mask.name}/)`;
  const labels = labelsIn(folder);
  if (!labels) return undefined;
  const count = [...labels.othersBelow.values()].reduce((sum, each) => sum + each, 0);
  // One for each photo, or nearly so, whatever stands beside them.
  const isDetection = others.length === 0 || count > pictures.photosBelow / 2;
  return isDetection ? `detection (${pictures.name}/ and ${labels.name}/)` : undefined;
}

/** A folder of labels that are no photos. */
function labelsIn(folder: Folder): Folder | undefined {
  return [...folder.folders.values()].find(
    (each) =>
      LABELS.test(each.name) &&
      each.photosBelow === 0 &&
      ['.txt', '.xml', '.json', '.csv'].some((kind) => each.othersBelow.has(kind)),
  );
}

/** What tells that photos which lie in no class folders are for detection. */
function detectionFileIn({ otherNames, others, photos: { length } }: Folder): string | undefined {
  const named = otherNames.find((name) => DETECTION_FILES.test(name));
  const perPhoto = ['.txt', '.xml'].find((kind) => (others.get(kind) ?? 0) > Math.max(1, length / 2));
  return named ?? (perPhoto && `${others.get(perPhoto) ?? 0} ${perPhoto}`);
}

/** Whether a class that is called so was hardly meant as one. */
const isOddClass = ({ name }: Folder) => ASIDE.test(name) || THUMBNAILS.test(name);

/** Folders of small copies of the photos beside them. */
function* thumbnailsIn(folder: Folder): Generator<Folder> {
  for (const each of folder.folders.values()) {
    if (folder.photos.length > 0 && THUMBNAILS.test(each.name)) yield each;
    else yield* thumbnailsIn(each);
  }
}

/** A folder below this one with splits and classes in them. */
function setBelow(folder: Folder): Folder | undefined {
  for (const each of folder.everyFolder()) {
    const parts = each === folder ? [] : [...(splitsOf(each)?.folders.values() ?? [])].flat();
    if (parts.length > 1 && parts.some(({ full }) => full.length > 0)) return each;
  }
  return undefined;
}

/** Classes, and the photos of each, by code unit. */
export function sorted<P extends Unlabelled>(byClass: ReadonlyMap<string, readonly P[]>): Map<string, P[]> {
  const byName = [...byClass].sort(([a], [b]) => (a < b ? -1 : 1));
  return new Map(
    byName.map(([name, some]) => [name, [...some].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))]),
  );
}

const photos = (count: number) => `${count} ${count === 1 ? 'photo' : 'photos'}`;
const namesOf = (folders: readonly Folder[]) => list(folders.map(({ name }) => name));

/** `a, b and c`, the rest of a long list counted. */
function list(names: readonly string[]): string {
  const named = names.length > 5 ? [...names.slice(0, 4), `${names.length - 4} more`] : names;
  return named.length < 2 ? named.join('') : `${named.slice(0, -1).join(', ')} and ${named.at(-1) ?? ''}`;
}
