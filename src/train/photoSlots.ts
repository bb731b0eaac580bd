import type { Manifest } from '../artifacts/manifest.js';
import { mixesPhotos } from '../data/augment/augmentation.js';
import type { Dataset } from '../data/dataset.js';
import { Duplicates } from '../data/duplicates.js';
import { totalOf } from '../data/leftOut.js';
import { labelsOfPhoto, targetRows } from '../data/labels.js';
import type { Photo } from '../data/photo.js';
import { checkReadable } from '../data/readablePhotos.js';
import { SkippedPhotos } from '../data/skippedPhotos.js';
import { UserError } from '../errors.js';
import { Random } from '../random.js';
import type { Engine } from '../runtime/engine.js';
import { orderOfEpoch } from './epochOrder.js';
import type { PhotoAccount, TrainEvent } from './events.js';
import { type Filling, fillSlots, type FillOptions, type FeatureTally } from './fillSlots.js';
import type { Settings } from './trainOptions.js';
import { augments, keptViews, makesNewViews } from './views.js';

export interface PhotoSlotsOptions {
  /** Keys of photos, and of their views, that the cache knows. */
  readonly cached: ReadonlySet<string> | undefined;
  readonly signal: AbortSignal | undefined;
  /** Whether these are a share of more photos: then it may lack classes, and photos to train or to validate with. */
  readonly isShare?: boolean;
}

/** What slots depend on. */
export type SlotSettings = Pick<Settings, 'augmentation' | 'views' | 'seed' | 'batch' | 'sampling' | 'task' | 'maxBad'>;

/**
 * The slots of a training's photos: first those of the training photos, one view of all after another, then those of the validation
 * photos. It knows what each is filled with, and in which order an epoch takes them.
 */
export class PhotoSlots {
  /** Where the features have come from so far. */
  readonly tally: FeatureTally = { computed: 0, kept: 0 };
  private readonly unreadable = new SkippedPhotos();
  private readonly duplicates = new Duplicates();
  private readonly views: number;
  private readonly firstVal: number;
  private filledVal: readonly number[] = [];
  /** For each view, the slots of the training photos that could be read. */
  private readonly filledTrain: (readonly number[])[] = [];
  /** The classes, or the labels, of the training photos by their slots. */
  private readonly labels: (readonly number[])[];
  /** What the slots are filled with, by the first slot of each filling. */
  private readonly fillings = new Map<number, Filling>();
  /** Rows [slots, classes] of training photos that are mixed, or have any number of labels. */
  private readonly targets: Float32Array | undefined;

  constructor(
    private readonly engine: Engine,
    private readonly manifest: Manifest,
    private readonly settings: SlotSettings,
    private readonly dataset: Dataset,
    private readonly options: PhotoSlotsOptions,
  ) {
    this.views = keptViews(settings);
    this.firstVal = dataset.train.length * this.views;
    this.labels = dataset.train.map(labelsOfPhoto);
    if (settings.task === 'labels' || mixesPhotos(settings.augmentation))
      this.targets = new Float32Array(this.firstVal * dataset.classes.length);
    // Those that are mixed come later.
    if (settings.task === 'labels') this.setTargets(dataset.train, 0);
  }

  /**
   * Fills the slots of the validation photos, and those of the training photos for the first epoch that is taken, `epoch`.
   * @throws UserError `no-photos`, `class-without-photos`, and as {@link fillSlots} does.
   */
  async *read(epoch: number): AsyncGenerator<TrainEvent> {
    const { train, val } = this.dataset;
    if (augments(this.settings.augmentation)) {
      this.filledVal = yield* this.fill(epoch, { photos: val, firstSlot: this.firstVal });
      for (let view = 0; view < this.views; view++)
        yield* this.readView(makesNewViews(this.settings) ? epoch : view + 1, view);
    } else {
      const filled = yield* this.fill(epoch, { photos: [...train, ...val], firstSlot: 0 });
      this.filledTrain[0] = filled.filter((slot) => slot < this.firstVal);
      this.filledVal = filled.filter((slot) => slot >= this.firstVal);
    }
    this.checkFilled();
  }

  /** Fills the slots of the training photos with the views of another epoch. @throws UserError `stopped` when the time is up, too. */
  renew(epoch: number, isTimeUp: () => boolean): AsyncGenerator<TrainEvent> {
    return this.readView(epoch, 0, isTimeUp);
  }

  /**
   * Computes again what somebody has removed from the cache: to the same bits, since the photos are the same.
   * @throws UserError `bad-cache` where one of them can be read no more.
   */
  async *fillAgain(lost: readonly number[], epoch: number): AsyncGenerator<TrainEvent> {
    yield { type: 'features-removed', count: lost.length };
    for (const filling of this.fillings.values()) {
      const { firstSlot, photos } = filling;
      const only = lost.map((slot) => slot - firstSlot).filter((place) => place >= 0 && place < photos.length);
      if (only.length === 0) continue;
      const skipped = new SkippedPhotos();
      const options = { skipped, maxBad: 1, epoch, cached: new Set<string>() };
      const filled = yield* this.fillWith({ ...filling, only }, options);
      if (filled.length < only.length)
        throw new UserError(
          'bad-cache',
          `the features of photos were removed from the cache while they were in use, and not all of those can be read any more (${skipped.list[0]?.reason ?? 'for no known reason'}); put them back, then go on (‹resume›)`,
        );
    }
    await this.engine.releaseFrozen();
  }

  /** Training photos that could be read: as many in every view. */
  get trainPhotos(): number {
    return this.filledTrain[0]?.length ?? 0;
  }

  get stepsPerEpoch(): number {
    return Math.ceil(this.trainPhotos / this.settings.batch);
  }

  get valSlots(): readonly number[] {
    return this.filledVal;
  }

  /** The validation photos that could be read, in the order of their slots. */
  get valPhotos(): Photo[] {
    return this.filledVal.flatMap((slot) => this.dataset.val[slot - this.firstVal] ?? []);
  }

  /** The training photos that could be read, in the order of their slots: those of the first view. */
  get readTrainPhotos(): Photo[] {
    return (this.filledTrain[0] ?? []).flatMap((slot) => this.dataset.train[slot] ?? []);
  }

  /** The slots of all photos that could be read, those of one view. */
  get readSlots(): number[] {
    return [...(this.filledTrain[0] ?? []), ...this.filledVal];
  }

  /** Photos that could not be read. */
  get skipped(): SkippedPhotos['list'] {
    return this.unreadable.list;
  }

  /** Slots of an epoch's steps, a batch after another, filled up with −1. */
  orderOf(epoch: number): Int32Array {
    const view = makesNewViews(this.settings) ? 0 : (epoch - 1) % this.views;
    return orderOfEpoch(this.filledTrain[view] ?? [], (slot) => this.labels[slot] ?? [], epoch, this.settings);
  }

  /** Targets of a plan's slots, where photos are mixed or have any number of labels. */
  targetsOf(slots: Int32Array): { targets?: Float32Array } {
    const { targets } = this;
    if (!targets) return {};
    const classes = this.dataset.classes.length;
    const rows = new Float32Array(slots.length * classes);
    slots.forEach((slot, index) => {
      if (slot >= 0) rows.set(targets.subarray(slot * classes, (slot + 1) * classes), index * classes);
    });
    return { targets: rows };
  }

  /** What messages call the photo in a slot. */
  nameOf(slot: number): string {
    const { train, val } = this.dataset;
    if (slot >= this.firstVal) return val[slot - this.firstVal]?.path ?? '';
    // Those that are mixed lie in another order.
    return mixesPhotos(this.settings.augmentation) ? 'a mixture of photos' : (train[slot % train.length]?.path ?? '');
  }

  /** Photos that are the same, among those that could be read. */
  foundDuplicates(): ReturnType<Duplicates['find']> {
    const { train, val } = this.dataset;
    const readable = (photos: readonly Photo[]) => photos.filter((photo) => !this.unreadable.has(photo));
    return this.duplicates.find(readable(train), readable(val));
  }

  /** What became of everything that the data set holds. */
  account(): PhotoAccount {
    const { train, val, test = [], contents } = this.dataset;
    const account = {
      found: contents?.found ?? train.length + val.length + test.length,
      train: this.trainPhotos,
      validate: this.filledVal.length,
      test: test.length,
      skipped: this.skipped.length,
    };
    const leftOut = contents?.leftOut ?? {};
    const unread = account.found - account.train - account.validate - account.test - account.skipped - totalOf(leftOut);
    return { ...account, leftOut: unread > 0 ? { ...leftOut, 'not read before it was stopped': unread } : leftOut };
  }

  private checkFilled(): void {
    if (this.options.isShare) return;
    const readable = new Set(this.filledTrain.flat().flatMap((slot) => this.labels[slot] ?? []));
    checkReadable(this.dataset, { trainLabels: readable, train: this.trainPhotos, val: this.filledVal.length });
  }

  /** Fills the slots of one view of the training photos; `number` tells which random view. It stops when the time is up. */
  private async *readView(number: number, view: number, isTimeUp?: () => boolean): AsyncGenerator<TrainEvent> {
    const { augmentation, seed } = this.settings;
    const { train } = this.dataset;
    // Photos are mixed with those beside them, which lie sorted by class.
    const photos = mixesPhotos(augmentation) ? new Random(seed).fork(`mix ${number}`).shuffle([...train]) : train;
    const firstSlot = view * train.length;
    photos.forEach((photo, index) => (this.labels[firstSlot + index] = labelsOfPhoto(photo)));
    if (this.settings.task === 'labels') this.setTargets(photos, firstSlot);
    const filling = { photos, firstSlot, view: { number, seed, augmentation } };
    this.filledTrain[view] = yield* this.fill(number, filling, isTimeUp);
  }

  /** Sets what is to be learned of photos from a slot on, as long as they are not mixed. */
  private setTargets(photos: readonly Photo[], firstSlot: number): void {
    const classes = this.dataset.classes.length;
    this.targets?.set(targetRows(photos, classes), firstSlot * classes);
  }

  private fill(epoch: number, some: Filling, isTimeUp?: () => boolean): AsyncGenerator<TrainEvent, number[]> {
    const { duplicates } = this;
    const filling = { ...some, ...(this.targets ? { targets: this.targets } : {}) };
    this.fillings.set(filling.firstSlot, filling);
    const { cached } = this.options;
    const { maxBad } = this.settings;
    return this.fillWith(filling, { skipped: this.unreadable, duplicates, maxBad, isTimeUp, epoch, cached });
  }

  private fillWith(
    filling: Filling,
    options: Omit<FillOptions, 'total' | 'signal' | 'tally'>,
  ): AsyncGenerator<TrainEvent, number[]> {
    const total = this.dataset.train.length + this.dataset.val.length;
    const { tally } = this;
    return fillSlots(this.engine, filling, this.manifest, { ...options, total, tally, signal: this.options.signal });
  }
}
