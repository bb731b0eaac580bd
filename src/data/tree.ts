import type { Unlabelled } from './photo.js';
import { LeftOutCounts, REASONS } from './leftOut.js';
import { beginsAsPhoto, isPhotoName, kindOf, mayBePhoto } from './photoTypes.js';
import { systemFile, systemFolder } from './systemFiles.js';

/** Something that lies in a folder or an archive, at any depth. */
export interface Entry {
  /** Names from the data set's folder on, its own last. */
  readonly parts: readonly string[];
  readonly kind: 'file' | 'folder' | 'broken link' | 'repeated link' | 'link in a zip file' | 'special';
  /** How a file is read. */
  readonly photo: Unlabelled;
  /** Whether its own name is not UTF-8, so that `parts` shows it with escapes. */
  readonly oddName?: boolean;
}

/** What a folder or an archive lists, whichever it is. */
export interface Listing {
  readonly entries: readonly Entry[];
  /** The first bytes of a file; fewer where it is shorter, none where it cannot be read. */
  readonly firstBytes: (entry: Entry) => Promise<Uint8Array>;
}

const LINKS = {
  'broken link': REASONS.brokenLink,
  'repeated link': REASONS.repeatedLink,
  'link in a zip file': REASONS.zipLink,
  special: REASONS.special,
} as const;

/** A folder's photos and folders, without what systems put there. */
export class Folder {
  /** Name → folder; names that differ in their form of Unicode alone, as two systems write them, are one folder. */
  readonly folders = new Map<string, Folder>();
  readonly photos: Unlabelled[] = [];
  /** Type → how many files that are no photos lie in it. */
  readonly others = new Map<string, number>();
  /** Names of some of them. */
  readonly otherNames: string[] = [];
  oddName = false;
  private known: number | undefined;

  constructor(readonly parts: readonly string[]) {}

  get name(): string {
    return this.parts.at(-1) ?? '';
  }

  /** How many photos lie below it at any depth; asked when all are there. */
  get photosBelow(): number {
    this.known ??= [...this.folders.values()].reduce((sum, each) => sum + each.photosBelow, this.photos.length);
    return this.known;
  }

  /** Its folders that hold photos. */
  get full(): Folder[] {
    return [...this.folders.values()].filter((each) => each.photosBelow > 0);
  }

  /** Its photos at any depth, without those in the folders of `except`. */
  *everyPhoto(except?: ReadonlySet<Folder>): Generator<Unlabelled> {
    yield* this.photos;
    for (const each of this.folders.values()) if (!except?.has(each)) yield* each.everyPhoto(except);
  }

  /** It and the folders below it. */
  *everyFolder(): Generator<Folder> {
    yield this;
    for (const each of this.folders.values()) yield* each.everyFolder();
  }

  /** Type → how many files that are no photos lie below it at any depth. */
  get othersBelow(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { others } of this.everyFolder())
      for (const [kind, count] of others) counts.set(kind, (counts.get(kind) ?? 0) + count);
    return counts;
  }
}

export interface Tree {
  readonly root: Folder;
  /** Files of all kinds, and links that were not followed. */
  readonly found: number;
  /** Those of them that are no photos. */
  readonly leftOut: LeftOutCounts;
}

/** Names of other files that are kept for telling what a folder is, in each folder. */
const KEPT_NAMES = 100;
/** Files that are looked into at once. */
const AT_ONCE = 64;

/** Sorts what is listed into photos and what is left out: what systems put there, files that are no photos by name and first bytes. */
export async function treeOf({ entries, firstBytes }: Listing): Promise<Tree> {
  const root = new Folder([]);
  const leftOut = new LeftOutCounts();
  let found = 0;
  const addOther = (folder: Folder, name: string) => {
    const kind = kindOf(name);
    leftOut.add(kind);
    folder.others.set(kind, (folder.others.get(kind) ?? 0) + 1);
    if (folder.otherNames.length < KEPT_NAMES) folder.otherNames.push(name);
  };
  const uncertain: { readonly entry: Entry; readonly folder: Folder; readonly name: string }[] = [];
  for (const entry of entries) {
    const { parts, kind, photo } = entry;
    const isFolder = kind === 'folder';
    if (!isFolder) found++;
    const above = isFolder ? parts : parts.slice(0, -1);
    const name = parts.at(-1) ?? '';
    const system =
      above.map(systemFolder).find((each) => each !== undefined) ?? (isFolder ? undefined : systemFile(name));
    if (system !== undefined) {
      if (!isFolder) leftOut.add(system);
      continue;
    }
    if (!isFolder && kind !== 'file') {
      leftOut.add(LINKS[kind]);
      continue;
    }
    const folder = folderAt(root, above);
    if (isFolder) folder.oddName = entry.oddName ?? false;
    else if (isPhotoName(name)) folder.photos.push(photo);
    else if (mayBePhoto(name)) uncertain.push({ entry, folder, name });
    else addOther(folder, name);
  }
  for (let at = 0; at < uncertain.length; at += AT_ONCE) {
    const some = uncertain.slice(at, at + AT_ONCE);
    const begins = await Promise.all(some.map(({ entry }) => firstBytes(entry)));
    for (const [index, { entry, folder, name }] of some.entries()) {
      if (beginsAsPhoto(begins[index] ?? new Uint8Array())) folder.photos.push(entry.photo);
      else addOther(folder, name);
    }
  }
  return { root, found, leftOut };
}

function folderAt(root: Folder, parts: readonly string[]): Folder {
  let folder = root;
  for (const [depth, name] of parts.entries()) {
    const key = name.normalize('NFC');
    let next = folder.folders.get(key);
    if (!next) {
      next = new Folder(parts.slice(0, depth + 1));
      folder.folders.set(key, next);
    }
    folder = next;
  }
  return folder;
}
