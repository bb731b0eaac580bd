import { roleOf } from '../splitNames.js';
import type { Folder } from '../tree.js';
import { hasEmptyClasses, isAside, isClass } from './classFolders.js';
import type { LayoutAccount } from './layoutAccount.js';
import type { LayoutRefusals } from './layoutRefusals.js';
import { otherTaskOf } from './otherTasks.js';
import { splitsOf } from './splitFolders.js';

/** Looks through folders that only hold the one that matters, and leaves out what stands beside that. */
export class Unwrapper {
  constructor(
    private readonly account: LayoutAccount,
    private readonly refusals: LayoutRefusals,
  ) {}

  /** The folder that holds the splits or classes. @throws UserError `no-classes` for a set for another task. */
  unwrapRoot(root: Folder): Folder {
    return this.descend(root, (folder) => (splitsOf(folder) ? undefined : wrappedIn(folder)));
  }

  /**
   * The folder that holds the classes of a split, below folders that repeat the split's name or hold all of it. `known` are the classes
   * that train. @throws UserError `no-classes` for a set for another task.
   */
  unwrapSplit(split: Folder, known: ReadonlySet<string>): Folder {
    return this.descend(split, (folder) => repeatedIn(folder, split, known) ?? wrappedIn(folder, known));
  }

  private descend(from: Folder, nextIn: (folder: Folder) => Folder | undefined): Folder {
    let folder = from;
    while (true) {
      const task = otherTaskOf(folder);
      if (task !== undefined) throw this.refusals.otherTask(folder, task);
      const next = nextIn(folder);
      if (!next) return folder;
      this.account.leaveOutBeside(folder, next);
      folder = next;
    }
  }
}

/** The folder that holds all that `folder` holds; undefined where it is a class, one of `known`, or one class among others. */
function wrappedIn(folder: Folder, known: ReadonlySet<string> = new Set()): Folder | undefined {
  const [only, another] = folder.full.length === 1 ? folder.full : folder.full.filter((each) => !isAside(each));
  if (!only || another || isClass(only, known)) return undefined;
  if (folder.full.length > 1 && only.full.length < 2) return undefined;
  if (folder.photos.length >= only.photosBelow) return undefined;
  if (splitsOf(only)) return only;
  if (hasEmptyClasses(folder)) return undefined;
  if (only.full.length === 1) return only.photos.length === 0 || wrappedIn(only) ? only : undefined;
  return only.full.length > 1 && only.photosBelow > 2 * only.photos.length ? only : undefined;
}

/** The only folder in `folder`, where it is called as `folder` is, or as the split is. */
function repeatedIn(folder: Folder, split: Folder, known: ReadonlySet<string>): Folder | undefined {
  const [only, another] = folder.full;
  if (!only || another || isClass(only, known) || hasEmptyClasses(folder)) return undefined;
  const role = roleOf(only.name);
  const repeats = only.name === folder.name || (role !== undefined && role === roleOf(split.name));
  return repeats && (only.full.length > 0 || folder.photos.length === 0) ? only : undefined;
}
