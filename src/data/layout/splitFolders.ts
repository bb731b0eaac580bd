import { type Role, rolesOf } from '../splitNames.js';
import type { Folder } from '../tree.js';

/** People call folders of examples so, and hardly a class. */
const EXAMPLES = /^(samples?|examples?|previews?|extras?|demos?)$/i;

/** The folders of a folder, by what their names say of them. */
export interface SplitFolders {
  readonly folders: ReadonlyMap<Role, readonly Folder[]>;
  /** Folders with photos that are no splits. */
  readonly others: readonly Folder[];
  /** The one folder beside a split that holds the same folders, so that both may be splits, or classes. */
  readonly unclear?: Folder | undefined;
}

/** Which folders of `top` are splits; undefined where they are classes, one of which may be called "train". */
export function splitsOf(top: Folder): SplitFolders | undefined {
  const all = [...top.folders.values()];
  const roles = rolesOf(all.map(({ name }) => name));
  const folders = byRole(all, roles);
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
  // Two classes or more stand beside others that are called "train" and "test".
  if (further.length > 0 && !isNested) return undefined;
  // One class stands alone, and is called "train".
  if (isOnlyRole && !isNested) return undefined;
  return { folders, others };
}

function byRole(all: readonly Folder[], roles: ReadonlyMap<string, Role>): Map<Role, Folder[]> {
  const folders = new Map<Role, Folder[]>();
  for (const folder of all) {
    const role = roles.get(folder.name);
    if (role !== undefined) folders.set(role, [...(folders.get(role) ?? []), folder]);
  }
  // Where training, validation and evaluation stand beside each other, as in Food-11, the last one is to test with.
  const val = folders.get('val') ?? [];
  const last = val.filter(({ name }) => /eval/i.test(name));
  if (last.length > 0 && last.length < val.length && !folders.has('test')) {
    folders.set(
      'val',
      val.filter((each) => !last.includes(each)),
    );
    folders.set('test', last);
  }
  return folders;
}

/** Names of folders with photos that both hold. */
export function commonFolders(a: Folder, b: Folder): string[] {
  const names = new Set(a.full.map(({ name }) => name));
  return b.full.map(({ name }) => name).filter((name) => names.has(name));
}

/** A folder below this one with splits and classes in them. */
export function setBelow(folder: Folder): Folder | undefined {
  for (const each of folder.everyFolder()) {
    const parts = each === folder ? [] : [...(splitsOf(each)?.folders.values() ?? [])].flat();
    if (parts.length > 1 && parts.some(({ full }) => full.length > 0)) return each;
  }
  return undefined;
}
