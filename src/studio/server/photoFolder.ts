import { UserError } from '../../errors.js';
import { writeFailed } from '../../files.js';
import { classFolderName, type Dataset } from '../../index.js';
import { visible } from '../../text.js';
import type { Added, ArchiveAdded, Binned, Moved, PhotoList, Project, StudioClass, StudioPhoto } from '../api.js';
import { AtMost } from './atMost.js';
import { ClassChanges } from './classChanges.js';
import { type FolderState, scanFolder, type ScannedPhoto } from './folderScan.js';
import { FolderWatch } from './folderWatch.js';
import { IncomingFiles } from './incomingFiles.js';
import { type ClassPlace, PhotoAdder, type PhotoUpload } from './photoAdder.js';
import { addArchive } from './photoArchive.js';
import { PhotoBin } from './photoBin.js';
import { fileToMove, fileToShow, makeFolderInside } from './photoPath.js';
import { makeReady } from './makeReady.js';

/** Photos that come in numbers are looked at together: after so long, */
const SOON_MS = 100;
/** and of all time at most this share is spent on it. */
const SHARE = 0.25;

export interface PhotoFolderOptions {
  /** Given what was made of a photo to look whether it can be read, which is its thumbnail. */
  readonly keepThumbnail?: (path: string, stamp: string, webp: Buffer) => void;
}

/**
 * A folder of photos with a folder for each class, as it lies on disk: there is nothing else that it goes by. Whatever changes photos
 * is done one after another; what other programs change is noticed.
 */
export class PhotoFolder {
  private readonly changes = new AtMost(1);
  private readonly unpacking = new AtMost(1);
  private readonly adder: PhotoAdder;
  private readonly classChanges: ClassChanges;
  private readonly watch: FolderWatch;
  private readonly incoming: IncomingFiles;
  private readonly binned: PhotoBin;
  private readonly listeners = new Set<() => void>();
  private byPath: ReadonlyMap<string, ScannedPhoto> = new Map();
  private now!: FolderState;
  private binNow: Project['bin'] = [];
  private binHolds = 0;
  /** Also after this program has begun anew it is another one. */
  private count = Date.now();
  private running: Promise<void> | undefined;
  private next: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private tookMs = 0;
  private told = '';

  private constructor(
    /** As it was named. */
    readonly folder: string,
    { keepThumbnail = () => undefined }: PhotoFolderOptions,
  ) {
    this.incoming = new IncomingFiles(folder);
    this.binned = new PhotoBin(folder);
    this.classChanges = new ClassChanges(folder);
    this.adder = new PhotoAdder(folder, { incoming: this.incoming, changes: this.changes, keepThumbnail });
    this.watch = new FolderWatch(() => void this.refresh().catch(() => undefined));
  }

  /**
   * Opens a folder, which is made where there is none.
   * @throws UserError `unknown-data` for what is no folder of class folders; `write-failed`, `no-such-folder`.
   */
  static async open(folder: string, options: PhotoFolderOptions = {}): Promise<PhotoFolder> {
    await makeReady(folder);
    const opened = new PhotoFolder(folder, options);
    try {
      await opened.incoming.removeAbandoned();
      await opened.refresh();
      const { problem } = opened.now;
      if (problem?.code === 'unknown-data') throw problem;
      return opened;
    } catch (thrown) {
      opened.close();
      throw thrown;
    }
  }

  /** Grows with every change of the photos. */
  get revision(): number {
    return this.count;
  }

  get classes(): readonly StudioClass[] {
    return this.now.classes;
  }

  /** Why they cannot be trained on yet. */
  get problem(): UserError | undefined {
    return this.now.problem ?? this.now.misnamed;
  }

  /** What is otherwise than one may think, a line each. */
  get warnings(): readonly string[] {
    return this.now.warnings;
  }

  /** What was deleted, the oldest first. */
  get bin(): Project['bin'] {
    return this.binNow;
  }

  /** How much of the disk what was deleted takes. */
  get binBytes(): number {
    return this.binHolds;
  }

  /** The photos as a training sees them, but for folders whose names it refuses. @throws UserError any other problem that it would have. */
  get dataset(): { readonly dataset: Dataset; readonly revision: number } {
    const { dataset, problem } = this.now;
    if (problem) throw problem;
    if (!dataset) throw new Error('there are photos, or a problem');
    return { dataset, revision: this.count };
  }

  /** The photos as far as they have classes, whether they can be trained on or not; undefined where there is none. */
  get surveyed(): Dataset | undefined {
    return this.now.dataset;
  }

  /** Has `listener` called after each change, until what it gives is called. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** @throws UserError `no-such-class`. */
  list(name: string): PhotoList {
    const found = this.now.photos.get(this.known(name)) ?? [];
    const photos = found.map(({ path, split, stamp }) => ({ path, split, stamp }));
    return { class: name, revision: this.count, photos };
  }

  /** A photo as it was seen last. */
  find(path: string): StudioPhoto | undefined {
    return this.byPath.get(path);
  }

  /** The file of a photo, which may be looked at. @throws UserError `bad-path`, `no-such-photo`. */
  async fileOf(path: string): Promise<{ readonly path: string; readonly mtimeMs: number; readonly size: number }> {
    const { path: place, found } = await fileToShow(this.folder, path);
    return { path: place, mtimeMs: found.mtimeMs, size: found.size };
  }

  /**
   * Adds a photo to a class.
   * @throws UserError `no-such-class`, `too-large`, `cut-off`, `unreadable-photo`, `write-failed`; whatever it is, nothing is left of it then.
   */
  async add(to: string, photo: PhotoUpload): Promise<Added> {
    const target = () => this.placeFor(this.known(to));
    target();
    const added = await this.adder.add(target, photo);
    if (added.outcome === 'added') this.soon();
    return added;
  }

  /**
   * Adds what a zip file or a Teachable Machine project holds: to the classes of its folders, or, where it has none, to `to`.
   * @throws UserError `too-large`, `cut-off`, `bad-archive`, `no-photos`, `no-such-class`, `write-failed`.
   */
  async addArchive(to: string | undefined, archive: PhotoUpload): Promise<ArchiveAdded> {
    if (to !== undefined) this.known(to);
    const { incoming, adder } = this;
    try {
      return await addArchive(archive, to, {
        ...{ incoming, adder, unpacking: this.unpacking },
        classFor: (name, others) => this.classFor(name, others),
        placeFor: (name) => this.placeFor(name),
      });
    } finally {
      await this.refresh();
    }
  }

  /** Moves photos to another class. @throws UserError `bad-path`, `no-such-photo`, `no-such-class`, `write-failed`. */
  move(paths: readonly string[], to: string): Promise<Moved> {
    return this.change(async () => {
      this.known(to);
      const moved = await this.classChanges.movePhotos(paths, to, this.now.places);
      return { moved: moved.length, paths: moved };
    });
  }

  /** Moves photos to the bin. @throws UserError `bad-path`, `no-such-photo`, `write-failed`. */
  remove(paths: readonly string[]): Promise<Binned> {
    return this.change(async () => {
      const unique = [...new Set(paths)];
      for (const path of unique) await fileToMove(this.folder, path);
      const classes = new Set(unique.map((path) => this.classChanges.placed(path, this.now.places).class));
      return this.binned.put({ what: [...classes].join(', '), photos: unique.length, paths: unique });
    });
  }

  /** @throws UserError `bad-class-name`, `class-exists`, `write-failed`. */
  addClass(name: string): Promise<void> {
    return this.change(async () => {
      const composed = classFolderName(name, this.classNames);
      if (this.now.places.folders.has(composed)) throw classExists(composed);
      await makeFolderInside(this.folder, this.classChanges.newFolder(composed, this.now.places).split('/'));
    });
  }

  /**
   * Gives a class another name, or puts its photos into another class where that exists and `merge` is set.
   * @throws UserError `no-such-class`, `bad-class-name`, `class-exists`, `write-failed`.
   */
  renameClass(from: string, to: string, merge: boolean): Promise<Moved> {
    return this.change(async () => {
      this.known(from);
      const name = this.now.places.folders.has(to.normalize('NFC'))
        ? to.normalize('NFC')
        : classFolderName(
            to,
            this.classNames.filter((each) => each !== from),
          );
      const moved = this.photosIn(from);
      if (name === from) return { moved: 0 };
      if (this.now.places.folders.has(name) && !merge) throw classExists(name);
      await this.classChanges.renameClass(from, name, this.now.places);
      return { moved };
    });
  }

  /** Moves a class with its photos to the bin. @throws UserError `no-such-class`, `write-failed`. */
  removeClass(name: string): Promise<Binned> {
    return this.change(async () => {
      const paths = [...(this.now.places.folders.get(this.known(name)) ?? [])];
      return this.binned.put({ what: name, photos: this.photosIn(name), paths });
    });
  }

  /** Puts back what was deleted. @throws UserError `no-such-bin`, `write-failed`. */
  restore(bin: string): Promise<Moved> {
    return this.change(async () => ({ moved: await this.binned.restore(bin) }));
  }

  /** Removes for good what was deleted, and gives how many bytes that were. @throws UserError `write-failed`. */
  emptyBin(): Promise<number> {
    return this.change(() => this.binned.empty());
  }

  /** Looks at the folder again: whoever waits for it knows all that was there when it was called. */
  refresh(): Promise<void> {
    this.next ??= (async () => {
      await this.running?.catch(() => undefined);
      this.next = undefined;
      this.running = this.look();
      return this.running;
    })();
    return this.next;
  }

  close(): void {
    clearTimeout(this.timer);
    this.watch.close();
    this.listeners.clear();
  }

  private async look(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const began = performance.now();
    const mark = this.adder.mark();
    const state = await scanFolder(this.folder);
    const bin = await this.binned.list();
    this.binHolds = await this.binned.bytes();
    this.tookMs = performance.now() - began;
    if (this.told !== '' && state.print !== this.now.print) this.count = Math.max(this.count + 1, Date.now());
    this.now = state;
    this.binNow = bin;
    this.byPath = new Map([...state.photos.values()].flat().map((photo) => [photo.path, photo]));
    this.adder.know(state.photos, mark);
    this.watch.watch(state.folders);
    const { print, problem, misnamed, warnings } = state;
    const told = JSON.stringify([print, bin, this.binHolds, problem?.text, misnamed?.text, warnings]);
    const isChanged = told !== this.told;
    this.told = told;
    if (isChanged) for (const listener of this.listeners) listener();
  }

  /** Looks again in a moment, when more may have come. */
  private soon(): void {
    this.timer ??= setTimeout(
      () => void this.refresh().catch(() => undefined),
      SOON_MS + this.tookMs * (1 / SHARE - 1),
    ).unref();
  }

  /** Changes photos while nothing else does, and knows what came of it, be it an error. */
  private change<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.changes.run(async () => {
      // Photos that came just now are among what is there.
      if (this.timer) await this.refresh();
      else await this.running?.catch(() => undefined);
      try {
        return await work();
      } catch (thrown) {
        throw thrown instanceof UserError || !isOfDisk(thrown) ? thrown : writeFailed(this.folder, thrown, 'change');
      } finally {
        await this.refresh();
      }
    });
  }

  private get classNames(): string[] {
    return [...this.now.places.folders.keys()];
  }

  private photosIn(name: string): number {
    return this.now.photos.get(name)?.length ?? 0;
  }

  /** @throws UserError `no-such-class`. */
  private known(name: string): string {
    if (this.now.places.folders.has(name)) return name;
    throw new UserError('no-such-class', `there is no class "${visible(name)}" in ${this.folder} any more`);
  }

  /**
   * The class for photos that come with the name of one: a known one, one of `others`, or a new one, whose folder comes with its first photo.
   * @throws UserError `bad-class-name`, `ambiguous-layout`.
   */
  private classFor(name: string, others: readonly string[]): string {
    const names = [...this.classNames, ...others];
    const alike = names.find((each) => each.toLowerCase() === name.normalize('NFC').toLowerCase());
    if (alike !== undefined) return alike;
    const composed = classFolderName(name, names);
    this.classChanges.newFolder(composed, this.now.places);
    return composed;
  }

  private placeFor(name: string): ClassPlace {
    const { places } = this.now;
    return { class: name, folder: places.newPhotos.get(name) ?? this.classChanges.newFolder(name, places) };
  }
}

const isOfDisk = (thrown: unknown): boolean => thrown instanceof Error && 'syscall' in thrown;

function classExists(name: string): UserError {
  return new UserError(
    'class-exists',
    `there is a class "${visible(name)}" already; choose another name, or merge them`,
  );
}
