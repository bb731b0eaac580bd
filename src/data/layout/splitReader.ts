import type { FoundSplit, FoundSplits } from '../dataset.js';
import { REASONS } from '../leftOut.js';
import type { Unlabelled } from '../photo.js';
import { sortedClasses } from '../sortedClasses.js';
import type { Role } from '../splitNames.js';
import type { Folder } from '../tree.js';
import { isOddClass, unclassedIn } from './classFolders.js';
import type { ClassReader } from './classReader.js';
import type { LayoutAccount } from './layoutAccount.js';
import type { LayoutRefusals } from './layoutRefusals.js';
import { namesOf } from './layoutWords.js';
import { type SplitFolders, splitsOf } from './splitFolders.js';
import type { Unwrapper } from './unwrapper.js';

type SplitRole = Exclude<Role, 'none'>;

/** Reads splits with classes in them, and classes with splits in them. */
export class SplitReader {
  constructor(
    private readonly account: LayoutAccount,
    private readonly refusals: LayoutRefusals,
    private readonly unwrapper: Unwrapper,
    private readonly classes: ClassReader,
  ) {}

  /**
   * Splits that stand beside each other in `top`, each with its class folders.
   * @throws UserError `ambiguous-layout`, `no-classes`, and `no-photos` where no split has class folders.
   */
  readBeside(top: Folder, found: SplitFolders): FoundSplits {
    const folders = this.oneOfEach(found);
    this.leaveOutOthers(top, found, [...folders.values()]);
    const splits: { -readonly [Key in keyof FoundSplits]: FoundSplits[Key] } = {};
    const train = folders.get('train');
    if (train) splits.train = this.readTraining(train, top);
    const known = new Set(splits.train?.classes.keys());
    const flat: Folder[] = [];
    for (const role of ['val', 'test'] as const) {
      const folder = folders.get(role);
      if (!folder) continue;
      const inner = this.unwrapper.unwrapSplit(folder, known);
      const without = this.withoutClasses(inner, known);
      if (without) flat.push(without);
      else splits[role] = this.classes.read(inner);
    }
    const [first] = flat;
    if (first && !splits.train && !splits.val && !splits.test) throw this.refusals.flat(first);
    const instead = splits.train && !splits.val && !splits.test ? '; a part of what trains validates' : '';
    for (const each of flat)
      this.account.leaveOut(each, REASONS.unlabelled, 'is left out, since it has no class folders', instead);
    return splits;
  }

  /**
   * The splits of classes that each have their own: `cat/train`, `cat/val`, `dog/train` …; undefined where it is not so.
   * @throws UserError `ambiguous-layout`.
   */
  readInClasses(top: Folder): FoundSplits | undefined {
    const classes = this.classesWithSplits(top);
    if (!classes) return undefined;
    const byRole = new Map<SplitRole, Map<string, Unlabelled[]>>();
    for (const { folder, splits } of classes) {
      const name = this.classes.nameOf(folder);
      if (name === undefined) continue;
      for (const [role, split] of this.oneOfEach(splits)) {
        const byClass = byRole.get(role) ?? new Map<string, Unlabelled[]>();
        byRole.set(role, byClass);
        this.classes.addPhotos(byClass, name, split);
      }
      const left = [...splits.others, ...(splits.folders.get('none') ?? [])];
      for (const each of left) this.account.leaveOut(each, REASONS.stray, 'stands beside splits and is left out');
      this.account.leaveOutOwn(folder, 'beside its splits');
    }
    this.account.leaveOutOwn(top, 'beside the class folders');
    const source = this.account.placeOf(top);
    return Object.fromEntries(
      [...byRole].map(([role, byClass]) => [role, { source, classes: sortedClasses(byClass) }]),
    );
  }

  /** The one folder of each split. @throws UserError `ambiguous-layout` where two are called so, or one may be a class. */
  private oneOfEach({ folders, unclear }: SplitFolders): ReadonlyMap<SplitRole, Folder> {
    const one = new Map<SplitRole, Folder>();
    for (const [role, all] of folders) {
      if (role === 'none') continue;
      const full = all.filter((each) => each.photosBelow > 0);
      const [first, second] = full.length > 0 ? full : all;
      if (first && second) throw this.refusals.sameSplit(role, first, second);
      if (first) one.set(role, first);
    }
    const [split] = one.values();
    if (split && unclear) throw this.refusals.splitOrClass(split, unclear);
    return one;
  }

  /** Leaves out what lies beside the splits, and those whose photos are there to be predicted. */
  private leaveOutOthers(top: Folder, { folders, others }: SplitFolders, splits: readonly Folder[]): void {
    const unlabelled = (folders.get('none') ?? []).filter((each) => each.photosBelow > 0);
    const named = namesOf([...splits, ...unlabelled]);
    for (const each of others) this.account.leaveOut(each, REASONS.stray, `stands beside ${named} and is left out`);
    this.account.leaveOutOwn(top, `beside ${named}`);
    for (const each of unlabelled)
      this.account.leaveOut(each, REASONS.unlabelled, 'is left out, since its photos are there to be predicted');
  }

  /** @throws UserError `no-photos` where the split has no class folders. */
  private readTraining(train: Folder, top: Folder): FoundSplit {
    const inner = this.unwrapper.unwrapSplit(train, new Set());
    if (inner.full.length === 0 && inner.photosBelow > 0) throw this.refusals.flat(inner, top);
    const split = this.classes.read(inner);
    this.classes.warnOfOdd(inner, isOddClass);
    return split;
  }

  /** The folder with the photos of a split that has no class folders; undefined where it has some, or is empty. */
  private withoutClasses(split: Folder, known: ReadonlySet<string>): Folder | undefined {
    const only = known.size > 1 ? unclassedIn(split, known) : undefined;
    if (only) this.account.leaveOutOwn(split, `beside ${only.name}`);
    return only ?? (split.full.length === 0 && split.photosBelow > 0 ? split : undefined);
  }

  /** The folders of `top` with their splits, where they are classes that have some. @throws UserError `ambiguous-layout`. */
  private classesWithSplits(top: Folder): { readonly folder: Folder; readonly splits: SplitFolders }[] | undefined {
    const withSplits = top.full.flatMap((folder) => {
      const splits = splitsOf(folder);
      return splits && splits.folders.size > 1 ? [{ folder, splits }] : [];
    });
    const [first] = withSplits;
    if (!first || top.full.length < 2) return undefined;
    const without = top.full.find((folder) => !withSplits.some((each) => each.folder === folder));
    if (without)
      throw this.refusals.splitsInSomeClasses(first.folder, [...first.splits.folders.values()].flat(), without);
    return withSplits;
  }
}
