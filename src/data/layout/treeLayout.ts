import { join } from 'node:path';
import { UserError } from '../../errors.js';
import type { FoundSplits } from '../dataset.js';
import { rolesOf } from '../splitNames.js';
import type { Folder, Tree } from '../tree.js';
import { classesAmong, isOddClass } from './classFolders.js';
import { ClassReader } from './classReader.js';
import { LayoutAccount } from './layoutAccount.js';
import { LayoutRefusals } from './layoutRefusals.js';
import { list, namesOf } from './layoutWords.js';
import { setBelow, splitsOf } from './splitFolders.js';
import { SplitReader } from './splitReader.js';
import { Unwrapper } from './unwrapper.js';

/** What a tree of photos is: which folders are splits, and which of them classes. */
export interface TreeLayout {
  readonly splits: FoundSplits;
  /** One line each: what was left out, or may be taken for something else than was meant. */
  readonly warnings: readonly string[];
  /** Why it holds no classes. */
  readonly problem?: UserError;
  /** What is wrong with the name of a class folder that was left out for it. */
  readonly misnamed?: UserError;
}

/**
 * Reads which folders of a tree are splits and which are classes. A folder round all is looked through; `train`, `val` and `test`
 * are splits by whatever names people give them; the others are classes, with the photos at any depth below them. What lies in none
 * is counted as left out. It throws nothing: what is wrong comes as a `problem`.
 */
export function readTreeLayout(tree: Tree, source: string, expected: string): TreeLayout {
  const placeOf = (folder: Folder) => join(source, ...folder.parts);
  const account = new LayoutAccount(tree.leftOut, placeOf);
  const { warnings } = account;
  try {
    const splits = new LayoutReader(account, new LayoutRefusals(expected, placeOf)).read(tree.root);
    return { splits, warnings, ...(account.misnamed ? { misnamed: account.misnamed } : {}) };
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
    return { splits: {}, warnings, problem: thrown };
  }
}

/** Decides whether a tree holds splits, splits in each class, or classes alone. */
class LayoutReader {
  private readonly unwrapper: Unwrapper;
  private readonly classes: ClassReader;
  private readonly splits: SplitReader;

  constructor(
    private readonly account: LayoutAccount,
    private readonly refusals: LayoutRefusals,
  ) {
    this.unwrapper = new Unwrapper(account, refusals);
    this.classes = new ClassReader(account, refusals);
    this.splits = new SplitReader(account, refusals, this.unwrapper, this.classes);
  }

  /** @throws UserError `no-photos`, `no-classes`, `ambiguous-layout`. */
  read(root: Folder): FoundSplits {
    if (root.photosBelow === 0) throw this.refusals.nothingIn(root);
    const top = this.unwrapper.unwrapRoot(root);
    const splits = splitsOf(top);
    if (splits) return this.splits.readBeside(top, splits);
    const byClass = this.splits.readInClasses(top);
    if (byClass) return byClass;
    this.refuseSetAmongClasses(top);
    const [only, another] = top.full;
    if (!only || (!another && top.photos.length >= only.photosBelow)) throw this.refusals.flat(top);
    this.warnOfLikeness(top);
    return { train: this.classes.read(top) };
  }

  /** @throws UserError `ambiguous-layout` where one of the classes would hold a whole data set. */
  private refuseSetAmongClasses(parent: Folder): void {
    const [first, second] = parent.full;
    if (!first || !second) return;
    for (const each of parent.full) {
      const set = setBelow(each);
      if (set) throw this.refusals.setAmongClasses(set, each === first ? second : first);
    }
  }

  /** Warns of classes that may have been meant as splits, or as something else. */
  private warnOfLikeness(parent: Folder): void {
    const { classes } = classesAmong(parent);
    const roles = rolesOf(classes.map(({ name }) => name));
    this.classes.warnOfOdd(parent, (each) => roles.has(each.name) || isOddClass(each));
    const [first] = classes;
    const inside = (each: Folder) => each.full.map(({ name }) => name).sort();
    const same = first ? inside(first) : [];
    if (
      classes.length > 1 &&
      same.length > 1 &&
      classes.every((each) => each.photos.length === 0 && inside(each).join('/') === same.join('/'))
    )
      this.account.warn(
        `${namesOf(classes)} are taken for the classes, and each of them holds ${list(same)}; if these are the classes, call the folders above them train, val and test`,
      );
  }
}
