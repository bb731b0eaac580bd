import { basename, join, relative } from 'node:path';
import { loadArtifacts } from '../artifacts/load.js';
import type { Manifest } from '../artifacts/manifest.js';
import { tunedModel } from '../artifacts/tunedModel.js';
import { type Augmentation, mixesPhotos, variesPhotos } from '../data/augment/augmentation.js';
import { checkSpace } from '../cache/cacheFolder.js';
import { balancedOrder } from '../data/classBalance.js';
import type { Dataset } from '../data/dataset.js';
import type { Photo } from '../data/photo.js';
import { decoderVersion } from '../data/decode.js';
import { Duplicates } from '../data/duplicates.js';
import { totalOf } from '../data/leftOut.js';
import { SkippedPhotos } from '../data/skippedPhotos.js';
import { UserError } from '../errors.js';
import { sha256, writeFileAtomically } from '../files.js';
import { allFinite, nonFiniteIn, notFinite } from '../finite.js';
import { giveBack } from '../giveBack.js';
import { writeModel } from '../onnx/model.js';
import type { Tensor } from '../onnx/tensor.js';
import { Plateau, shareOfPeak } from '../optim/schedule.js';
import { policyFileName } from '../policy/policy.js';
import { Random } from '../random.js';
import { quantizeModel } from '../quantize/frozenPart.js';
import { ImageClassifier } from '../runtime/classifier.js';
import { Engine } from '../runtime/engine.js';
import { type Agreement, Comparison, toleranceOf } from './agreement.js';
import { compiledHere, startCompiling } from './compiler.js';
import { compileWithin, planningOf } from './compileWithin.js';
import { type Identity, NO_STEPS, type Progress, readLast, writeLast } from './checkpoint.js';
import { classifyPhotos } from './classify.js';
import type { EndedBy, EpochResult, FinalPart, PhotoAccount, Summary, TrainEvent } from './events.js';
import { checkMemory, type Filling, fillSlots, type FillOptions } from './fillSlots.js';
import { summaryOfFinished } from './finishedRun.js';
import { drawRange, rangeOfRates, smoothed, valleyOf } from './learningRateRange.js';
import { isBetter, type Metrics, metricsOf, predictionOf } from './metrics.js';
import { type Settings, settingsOf, type TrainOptions } from './options.js';
import { changesOf, placeOf } from './place.js';
import { planOf, quantizeFrozen } from './quantizeFrozen.js';
import { FLOAT_MODEL } from './runFiles.js';
import { RunFolder } from './runFolder.js';

/** Steps asked of the worker at a time: progress is told, and limits are looked at, between them. */
const STEPS_PER_CALL = 16;
/** Validation photos asked of it at a time, a multiple of what it takes in one run of the session. */
const EVALUATED_PER_CALL = 512;
/** Steps of a range test. */
const RANGE_STEPS = 100;
/** A mean loss of so many times ln(classes), the loss of a guess, will not come down again. */
const LARGEST_LOSS = 5;
/** Nor one of so many times the loss that the training began with. */
const LARGEST_GROWTH = 3;

/**
 * A training of a classifier's chosen layers on a data set. It writes a run: artifacts, checkpoints (`best/`, `last/`), the
 * tuned `model.onnx`, `results.csv`, `summary.json` and what there is to look at.
 *
 *     for await (const event of new Trainer({ model, dataset, policy: 'F1C1', out: 'runs/first' })) …
 */
export class Trainer implements AsyncIterable<TrainEvent> {
  private folder: RunFolder | undefined;

  constructor(private readonly options: TrainOptions) {}

  /**
   * Trains, and tells what happens as it does.
   * @throws UserError for a policy that does not fit, too many unreadable photos, a loss that runs away, a full disk.
   */
  [Symbol.asyncIterator](): AsyncGenerator<TrainEvent, Summary> {
    return train(this.options, (folder) => (this.folder = folder));
  }

  /** Whether its folder still holds the run that it was to replace: that stays until the new one has something to show. */
  get holdsOldRun(): boolean {
    return this.folder?.holdsOldRun ?? false;
  }

  /** The folder that the run is written into now: `out`, or, while that holds an earlier run, one inside of it. */
  get place(): string {
    return this.folder?.path('.') ?? this.options.out;
  }

  /** Trains to the end. @throws as the iterator does. */
  async run(onEvent: (event: TrainEvent) => void | Promise<void> = () => undefined): Promise<Summary> {
    let summary: Summary | undefined;
    for await (const event of this) {
      await onEvent(event);
      if (event.type === 'done') summary = event.summary;
    }
    if (!summary) throw new Error('a training that ends tells so');
    return summary;
  }
}

async function* train(options: TrainOptions, onOpen: (folder: RunFolder) => void): AsyncGenerator<TrainEvent, Summary> {
  const folder = RunFolder.open(options.out, `training ${options.policy}`);
  onOpen(folder);
  try {
    return yield* trainIn(folder, options);
  } finally {
    folder.close();
  }
}

async function* trainIn(folder: RunFolder, options: TrainOptions): AsyncGenerator<TrainEvent, Summary> {
  const { dataset, signal } = options;
  const began = performance.now();
  const prepared = yield* prepare(folder, options);
  if ('finished' in prepared) {
    yield { type: 'finished' };
    yield { type: 'done', summary: prepared.finished };
    return prepared.finished;
  }
  const { manifest, settings, identity, resumed } = prepared;
  await folder.startLog(resumed?.progress.results.length);
  // What was cut off between the checkpoint and what is written of it.
  if (resumed) await folder.settleBest(resumed.progress.best?.epoch);
  const tell = <Event extends TrainEvent>(event: Event): Event => {
    if (event.type !== 'progress') folder.log(event);
    return event;
  };
  const { threads, provider } = settings;
  yield tell({ type: 'compiled', manifest, threads, provider, elapsedMs: performance.now() - began });

  const slots = dataset.train.length * viewsOf(settings) + dataset.val.length;
  // New views in every epoch, and photos that are mixed with whichever lie beside them, never come again.
  const { augmentation, views } = settings;
  const returns = !mixesPhotos(augmentation) && (views > 0 || !augments(augmentation));
  const cache = returns ? options.cache : undefined;
  if (cache === undefined) checkMemory(manifest, slots);
  else await checkSpace(cache, 0);
  checkStopped(signal);
  const engine = await Engine.start(
    folder.path('artifacts'),
    {
      slots,
      threads,
      provider,
      ...(cache === undefined ? {} : { cache: { folder: cache, decoder: decoderVersion } }),
    },
    signal,
  );
  let session: Session | undefined;
  try {
    const state = await engine.cacheState();
    if (state) {
      const { folder: place, rowBytes, rows } = state;
      const neededBytes = Math.max(0, slots - rows) * rowBytes;
      const freeBytes = await checkSpace(place, neededBytes);
      yield tell({ type: 'cache', folder: place, rows, slots, rowBytes, neededBytes, freeBytes });
    }
    const cached = state && new Set(state.keys);
    session = new Session(options, settings, identity, manifest, engine, folder, cached, resumed?.progress);
    if (resumed) await engine.setState(resumed.state);
    for await (const event of session.run(began)) yield tell(event);
    return yield* session.finish(tell);
  } finally {
    try {
      // Of whoever looks no longer, the epochs that were finished since the last time.
      await session?.write({ progress: false });
    } finally {
      await engine.close();
    }
  }
}

/** @throws UserError `stopped`. */
function checkStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new UserError('stopped', 'stopped before the training began');
}

/**
 * Compiles, writes the artifacts, and reads where a run that is to go on stopped. What was compiled is let go of: it is large. Of a run that
 * has ended by itself, gives the summary.
 */
async function* prepare(folder: RunFolder, options: TrainOptions) {
  const { dataset, model, out, signal } = options;
  checkStopped(signal);
  const planning = planningOf(options, settingsOf(options));
  // In the order in which they are compared: other photos change settings too.
  const identity: Identity = { source: model.sha256, photos: identityOf(dataset), ...planning.settings };
  const resumed = options.resume ? readLast(out, identity) : undefined;
  const finished = resumed && summaryOfFinished(out, resumed.progress.results.length);
  if (finished) return { finished };
  const isQuantized = planning.settings.frozen === 'int8';
  const inFloat = isQuantized ? await compileWithin(model, planning) : undefined;
  let compiling = inFloat
    ? compiledHere(inFloat.compiled, inFloat.settings)
    : await startCompiling(model, planning, signal);
  const { settings } = compiling;
  try {
    checkStopped(signal);
    if (!resumed) folder.begin(options.overwrite ?? false, model.path);
    if (inFloat) {
      const before = resumed ? frozenBefore(folder.path('artifacts')) : undefined;
      const quantized = yield* quantizeFrozen(inFloat.compiled, dataset, settings, before, signal);
      compiling = compiledHere(quantized, settings);
    }
    // First, since it leaves nothing behind where it fails.
    const manifest = await compiling.write(folder.path('artifacts'));
    return { manifest, settings, identity: { ...identity, ...settings }, resumed };
  } finally {
    compiling.close();
  }
}

/** How the frozen part of a run that goes on was quantized; undefined where that is lost. */
function frozenBefore(artifacts: string): Manifest['frozen'] {
  try {
    return loadArtifacts(artifacts).manifest.frozen;
  } catch (thrown) {
    if (thrown instanceof UserError) return undefined;
    throw thrown;
  }
}

/** What work ends with whose events nobody sees. */
async function resultOf<Result>(events: AsyncGenerator<TrainEvent, Result>): Promise<Result> {
  let step = await events.next();
  while (!step.done) step = await events.next();
  return step.value;
}

/** Whether photos are trained on in other views than their own. */
const augments = (augmentation: Augmentation) => variesPhotos(augmentation) || mixesPhotos(augmentation);
/** Views of each training photo that are kept at once. */
const viewsOf = ({ augmentation, views }: Settings) => (augments(augmentation) ? Math.max(1, views) : 1);

/** What identifies a data set's photos, wherever it lies: a run is resumed on the same ones only. */
function identityOf({ classes, train, val, folder }: Dataset): string {
  const placeOf = ({ path, label, inside }: Photo) => [relative(folder, path), label, inside?.offset];
  return sha256(Buffer.from(JSON.stringify([classes, train.map(placeOf), val.map(placeOf)])));
}

/** One training, from the first photo to the model. */
class Session {
  private readonly skipped = new SkippedPhotos();
  private readonly duplicates = new Duplicates();
  private readonly progress: Progress;
  private readonly plateau = new Plateau();
  private readonly photos: readonly Photo[];
  /** Views of the training photos that are kept at once, and the first slot of the validation photos. */
  private readonly views: number;
  private readonly firstVal: number;
  private valSlots: readonly number[] = [];
  /** Of each view, the slots of the training photos that could be read. */
  private readonly trainSlots: (readonly number[])[] = [];
  private readonly slotLabels: number[];
  /** What the slots are filled with, by the first slot of each filling. */
  private readonly fillings = new Map<number, Filling>();
  /** Rows [slots, classes] of training photos that are mixed. */
  private readonly targets: Float32Array | undefined;
  private endedBy: EndedBy = 'epochs';
  private began = NaN;
  /** Of the parts before this one. */
  private readonly elapsedBefore: number;
  /** Until when time is in the epoch's. */
  private countedUntil = NaN;
  /** What finished epochs left behind since something was last written. */
  private unwritten: {
    best?: { readonly parameters: ReadonlyMap<string, Tensor>; readonly result: EpochResult };
    state?: ReadonlyMap<string, Tensor>;
  } = {};
  private writtenAt = -Infinity;

  constructor(
    private readonly options: TrainOptions,
    private readonly settings: Settings,
    identity: Identity,
    private readonly manifest: Manifest,
    private readonly engine: Engine,
    private readonly folder: RunFolder,
    /** Keys of photos, and of their views, that the cache knows. */
    private readonly cached: ReadonlySet<string> | undefined,
    before: Progress | undefined,
  ) {
    const { train, val } = options.dataset;
    this.views = viewsOf(settings);
    this.firstVal = train.length * this.views;
    this.slotLabels = train.map(({ label }) => label);
    if (mixesPhotos(settings.augmentation))
      this.targets = new Float32Array(this.firstVal * options.dataset.classes.length);
    this.photos = [...train, ...val];
    this.progress = before ?? {
      settings: { ...identity },
      learningRate: typeof settings.learningRate === 'number' ? settings.learningRate : NaN,
      startedAtMs: Date.now(),
      firstLoss: null,
      results: [],
      best: null,
      partial: { ...NO_STEPS },
      place: placeOf(settings),
      moves: [],
      elapsedMs: 0,
    };
    this.elapsedBefore = this.progress.elapsedMs;
    for (const { valLoss } of this.progress.results) this.plateau.observe(valLoss);
  }

  /** Trains until the last epoch, or until something else ends it; all that was learned is then in `last/`, or to be written. */
  async *run(began: number): AsyncGenerator<TrainEvent> {
    const { settings, progress, options } = this;
    this.began = began;
    const firstEpoch = progress.results.length + 1;
    if (options.resume) {
      // Which may be older than the checkpoint.
      await this.writeResults();
      if (firstEpoch <= settings.epochs && !this.hasWaitedEnough) yield this.goOn(firstEpoch);
    }
    yield { type: 'reading' };
    this.countedUntil = performance.now();
    yield* this.readPhotos(firstEpoch);
    if (Number.isNaN(progress.learningRate)) yield* this.findLearningRate();
    // What stops it before this has learned nothing.
    try {
      yield* this.trainEpochs(firstEpoch);
    } catch (thrown) {
      if (!(thrown instanceof UserError) || thrown.code !== 'stopped') throw thrown;
      this.endedBy = options.signal?.aborted ? 'interrupt' : 'time-limit';
    }
    if (this.endedBy === 'interrupt' || this.endedBy === 'time-limit') await this.save();
  }

  private async *trainEpochs(firstEpoch: number): AsyncGenerator<TrainEvent> {
    const { settings, options } = this;
    for (let epoch = firstEpoch; epoch <= settings.epochs; epoch++) {
      if (this.hasWaitedEnough) {
        this.endedBy = 'patience';
        return;
      }
      if (epoch > firstEpoch) {
        // An epoch before this one was finished in this call.
        if (this.isTimeUp) {
          this.endedBy = 'time-limit';
          return;
        }
        this.countedUntil = performance.now();
        if (this.makesNewViews) {
          await this.write();
          yield* this.readViews(epoch, 0, () => this.isTimeUp);
        }
      }
      yield* this.trainEpoch(epoch);
      if (options.signal?.aborted) this.endedBy = 'interrupt';
      if (this.endedBy !== 'epochs') return;
      yield* this.finishEpoch(epoch);
    }
  }

  /** Tells where the run goes on, and whether it does so elsewhere. */
  private goOn(epoch: number): TrainEvent {
    const { progress } = this;
    const { steps: step } = progress.partial;
    const place = placeOf(this.settings);
    const changes = changesOf(progress.place ?? progress.settings, place);
    if (changes.length > 0) progress.moves.push({ epoch, step, changes });
    progress.place = place;
    return { type: 'resumed', epoch, step, changes };
  }

  /** Whether every epoch takes views that no epoch before it took. */
  private get makesNewViews(): boolean {
    return augments(this.settings.augmentation) && this.settings.views === 0;
  }

  /** Fills the slots of the validation photos, and of the training photos for the first epoch. */
  private async *readPhotos(epoch: number): AsyncGenerator<TrainEvent> {
    const { dataset } = this.options;
    if (augments(this.settings.augmentation)) {
      this.valSlots = yield* this.fill(dataset.val, this.firstVal, epoch);
      for (let view = 0; view < this.views; view++) yield* this.readViews(this.makesNewViews ? epoch : view + 1, view);
    } else {
      const filled = yield* this.fill(this.photos, 0, epoch);
      this.trainSlots[0] = filled.filter((slot) => slot < this.firstVal);
      this.valSlots = filled.filter((slot) => slot >= this.firstVal);
    }
    const empty = this.trainPhotos === 0 ? 'train' : this.valSlots.length === 0 ? 'validate' : undefined;
    if (empty)
      throw new UserError(
        'no-photos',
        `${dataset.folder} has no readable photos to ${empty} with; mend or replace them`,
      );
    const readable = new Set(this.trainSlots.flat().map((slot) => this.slotLabels[slot]));
    const lacking = dataset.classes.find((_, label) => !readable.has(label));
    if (lacking !== undefined)
      throw new UserError(
        'class-without-photos',
        `class "${lacking}" has no readable photos to train with in ${dataset.folder}; mend or replace them, or remove the class`,
      );
    this.checkRead();
    await this.folder.writeSkipped(this.skipped.list);
    const { counts, lines } = this.foundDuplicates();
    const notes = dataset.contents?.warnings ?? [];
    yield { type: 'photos', photos: this.account(), duplicates: counts, notes, warnings: lines };
    if (!this.makesNewViews) await this.engine.releaseFrozen();
  }

  /** Among the photos that could be read. */
  private foundDuplicates() {
    const { train, val } = this.options.dataset;
    const readable = (photos: readonly Photo[]) => photos.filter((photo) => !this.skipped.has(photo));
    return this.duplicates.find(readable(train), readable(val));
  }

  private account(): PhotoAccount {
    const { train, val, test = [], contents } = this.options.dataset;
    const account = {
      found: contents?.found ?? train.length + val.length + test.length,
      train: this.trainPhotos,
      validate: this.valSlots.length,
      test: test.length,
      skipped: this.skipped.list.length,
    };
    const leftOut = contents?.leftOut ?? {};
    const unread = account.found - account.train - account.validate - account.test - account.skipped - totalOf(leftOut);
    return { ...account, leftOut: unread > 0 ? { ...leftOut, 'not read before it was stopped': unread } : leftOut };
  }

  /** @throws UserError `cannot-resume` where not the same photos can be read as before: the steps that are left would be other ones. */
  private checkRead(): void {
    const { progress, options } = this;
    const slots = [...(this.trainSlots[0] ?? []), ...this.valSlots];
    const read = { photos: slots.length, digest: sha256(Buffer.from(JSON.stringify(slots))) };
    const before = progress.read ?? read;
    if (before.digest !== read.digest)
      throw new UserError(
        'cannot-resume',
        `cannot go on with ${options.out}: ${before.photos} of its photos could be read, now it is ${read.photos === before.photos ? 'others' : read.photos}; put back those that it was begun with (skipped.csv names those that cannot be read)`,
      );
    progress.read = read;
  }

  /** Fills the slots of one view of the training photos; `number` tells which random view. It stops when the time is up. */
  private async *readViews(number: number, view = 0, isTimeUp?: () => boolean): AsyncGenerator<TrainEvent> {
    const { augmentation, seed } = this.settings;
    const { train } = this.options.dataset;
    // Photos are mixed with those beside them, which lie sorted by class.
    const order = mixesPhotos(augmentation) ? new Random(seed).fork(`mix ${number}`).shuffle([...train]) : train;
    const firstSlot = view * train.length;
    order.forEach(({ label }, index) => (this.slotLabels[firstSlot + index] = label));
    const filled = yield* this.fill(order, firstSlot, number, { number, seed, augmentation }, isTimeUp);
    this.trainSlots[view] = filled;
  }

  private fill(
    photos: readonly Photo[],
    firstSlot: number,
    epoch: number,
    view?: { number: number; seed: number; augmentation: Settings['augmentation'] },
    isTimeUp?: () => boolean,
  ): AsyncGenerator<TrainEvent, number[]> {
    const { skipped, duplicates, cached } = this;
    const { maxBad } = this.settings;
    const filling = {
      photos,
      firstSlot,
      ...(view ? { view } : {}),
      ...(this.targets ? { targets: this.targets } : {}),
    };
    this.fillings.set(firstSlot, filling);
    return this.fillWith(filling, { skipped, duplicates, maxBad, isTimeUp, epoch, cached });
  }

  private fillWith(
    filling: Filling,
    options: Omit<FillOptions, 'total' | 'signal'>,
  ): AsyncGenerator<TrainEvent, number[]> {
    const { signal } = this.options;
    return fillSlots(this.engine, filling, this.manifest, { ...options, total: this.photos.length, signal });
  }

  /**
   * Computes again what somebody has removed from the cache: to the same bits, since the photos are the same.
   * @throws UserError `bad-cache` where one of them can be read no more.
   */
  private async *fillAgain(lost: readonly number[], epoch: number): AsyncGenerator<TrainEvent> {
    yield { type: 'features-removed', count: lost.length };
    for (const filling of this.fillings.values()) {
      const { firstSlot, photos } = filling;
      const only = lost.map((slot) => slot - firstSlot).filter((place) => place >= 0 && place < photos.length);
      if (only.length === 0) continue;
      const skipped = new SkippedPhotos();
      const filled = yield* this.fillWith({ ...filling, only }, { skipped, maxBad: 1, epoch, cached: new Set() });
      if (filled.length < only.length)
        throw new UserError(
          'bad-cache',
          `the features of photos were removed from the cache while they were in use, and not all of those can be read any more (${skipped.list[0]?.reason ?? 'for no known reason'}); put them back, then go on (--resume)`,
        );
    }
    await this.engine.releaseFrozen();
  }

  /** The logits of stored photos under the current parameters; those that were not reached when the signal fired are zero. */
  private async *logitsOf(slots: Int32Array, epoch: number): AsyncGenerator<TrainEvent, Float32Array> {
    while (true) {
      const { logits, lost } = await this.engine.evaluate(slots);
      if (!lost) return logits;
      yield* this.fillAgain(lost, epoch);
    }
  }

  /** Training photos that could be read: as many in every view. */
  private get trainPhotos(): number {
    return this.trainSlots[0]?.length ?? 0;
  }

  private get stepsPerEpoch(): number {
    return Math.ceil(this.trainPhotos / this.settings.batch);
  }

  /** Slots of an epoch's steps, a batch after another, filled up with −1. */
  private orderOf(epoch: number): Int32Array {
    const { seed, batch, sampling } = this.settings;
    const random = new Random(seed).fork(`epoch ${epoch}`);
    const readable = [...(this.trainSlots[this.makesNewViews ? 0 : (epoch - 1) % this.views] ?? [])];
    const order =
      sampling === 'balanced'
        ? balancedOrder(
            readable.map((slot) => this.slotLabels[slot] ?? 0),
            readable.length,
            random,
          ).map((place) => readable[place] ?? 0)
        : random.shuffle(readable);
    const slots = new Int32Array(this.stepsPerEpoch * batch).fill(-1);
    slots.set(order);
    return slots;
  }

  /** Takes the steps of an epoch that are left, and adds them up in `progress.partial`. */
  private async *trainEpoch(epoch: number): AsyncGenerator<TrainEvent> {
    const { settings, progress, stepsPerEpoch } = this;
    const { batch } = settings;
    const { partial } = progress;
    const slots = this.orderOf(epoch);
    const learningRates = this.learningRatesOf(epoch);
    const before = (epoch - 1) * stepsPerEpoch;
    const guess = Math.log(this.manifest.classes.length);
    let savedAt = this.countedUntil;
    while (partial.steps < stepsPerEpoch && !this.options.signal?.aborted) {
      const step = partial.steps;
      const until = Math.min(stepsPerEpoch, step + STEPS_PER_CALL);
      const result = await this.engine.steps({
        slots: slots.subarray(step * batch, until * batch),
        learningRates: learningRates.subarray(step, until),
        firstStep: before + step + 1,
        limitMs: Math.max(0, this.leftMs),
        ...this.targetsOf(slots.subarray(step * batch, until * batch)),
      });
      if (result.lost) yield* this.fillAgain(result.lost, epoch);
      // It was stopped before the first of them, or that lacked rows.
      if (result.losses.length === 0) continue;
      for (const [index, loss] of result.losses.entries()) {
        const images = slots.subarray((step + index) * batch, (step + index + 1) * batch);
        if (!Number.isFinite(loss)) throw await this.notANumber(epoch, step + index + 1, images);
        const size = Math.min(batch, this.trainPhotos - (step + index) * batch);
        partial.lossSum += loss * size;
      }
      progress.firstLoss ??= result.losses[0] ?? null;
      const mean = result.losses.reduce((sum, loss) => sum + loss, 0) / result.losses.length;
      // Features that are large make the first loss large too, and single batches differ: neither is a rate that is too high.
      const largest = Math.max(LARGEST_LOSS * guess + 1, LARGEST_GROWTH * (progress.firstLoss ?? 0));
      if (before + until >= STEPS_PER_CALL && mean > largest)
        throw await this.diverged(epoch, until, `is ${mean.toFixed(1)}, far above the ${guess.toFixed(1)} of a guess,`);
      partial.steps += result.losses.length;
      partial.correct += result.correct;
      partial.images += result.images;
      const done = Math.min(partial.steps * batch, this.trainPhotos);
      yield { type: 'progress', phase: 'training', epoch, done, total: this.trainPhotos };
      const now = performance.now();
      if (this.isTimeUp && partial.steps < stepsPerEpoch) {
        this.endedBy = 'time-limit';
        return;
      }
      if (now - savedAt > SAVE_EVERY_MS && partial.steps < stepsPerEpoch) {
        savedAt = now;
        await this.save();
      }
    }
  }

  /** Soft targets of a plan's slots, where photos are mixed. */
  private targetsOf(slots: Int32Array): { targets?: Float32Array } {
    const { targets } = this;
    if (!targets) return {};
    const classes = this.manifest.classes.length;
    const rows = new Float32Array(slots.length * classes);
    slots.forEach((slot, index) => {
      if (slot >= 0) rows.set(targets.subarray(slot * classes, (slot + 1) * classes), index * classes);
    });
    return { targets: rows };
  }

  private learningRatesOf(epoch: number): Float32Array {
    const { schedule, epochs, warmupEpochs } = this.settings;
    const { stepsPerEpoch } = this;
    const total = epochs * stepsPerEpoch;
    const warmup = Math.round(warmupEpochs * stepsPerEpoch);
    return Float32Array.from({ length: stepsPerEpoch }, (_, index) => {
      const step = (epoch - 1) * stepsPerEpoch + index;
      return this.progress.learningRate * this.plateau.factor * shareOfPeak(schedule, { step, total, warmup });
    });
  }

  /** Evaluates, and keeps what an epoch leaves behind, which is written now or with the next ones. */
  private async *finishEpoch(epoch: number): AsyncGenerator<TrainEvent> {
    const { settings, progress, manifest } = this;
    const { partial } = progress;
    if (partial.images === 0) return;
    const { metrics, logits } = yield* this.evaluate(epoch);
    const state = await this.finiteState(epoch);
    if (!allFinite(logits)) throw await this.notANumber(epoch, this.stepsPerEpoch, Int32Array.from(this.valSlots));
    this.countTime();
    const { elapsedMs } = partial;
    const result: EpochResult = {
      epoch,
      learningRate: this.learningRatesOf(epoch)[0] ?? 0,
      trainLoss: partial.lossSum / partial.images,
      trainTop1: partial.correct / partial.images,
      valLoss: metrics.loss,
      top1: metrics.top1,
      top5: metrics.top5,
      macroF1: metrics.macroF1,
      balancedAccuracy: metrics.balancedAccuracy,
      elapsedMs,
      imagesPerSecond: (1000 * partial.images) / elapsedMs,
    };
    const value = metrics[settings.metric];
    const best = isBetter(settings.metric, value, progress.best?.value);
    if (best) {
      this.unwritten.best = { parameters: parametersOf(manifest, state), result };
      progress.best = { epoch, value };
    }
    progress.results.push(result);
    progress.partial = { ...NO_STEPS };
    this.plateau.observe(result.valLoss);
    this.unwritten.state = state;
    // First of all: of what is logged and not saved a run that goes on takes back the log, and never the other way round.
    yield { type: 'epoch', result, epochs: settings.epochs, best };
    if (performance.now() - this.writtenAt > WRITE_EVERY_MS) await this.write();
  }

  /** Writes what finished epochs leave behind: the best weights before the progress that tells of them. */
  async write({ progress: withProgress = true } = {}): Promise<void> {
    const { folder, progress, options } = this;
    const { best, state } = this.unwritten;
    this.unwritten = {};
    if (best) await folder.writeBest(best.parameters, best.result, this.manifest.source.sha256);
    if (state) {
      progress.elapsedMs = this.elapsedMs;
      // Without it, the state is of the last finished epoch, and the progress is further.
      await writeLast(folder.path('.'), state, withProgress ? progress : { ...progress, partial: NO_STEPS });
      await folder.settleBest(progress.best?.epoch);
      await this.writeResults();
    }
    // A run that is stopped before it has a best epoch replaces no earlier one.
    if (best || (state && !options.signal?.aborted)) await folder.replaceOld();
    giveBack(
      [best?.parameters, state].flatMap((tensors) => [...(tensors?.values() ?? [])].map(({ data }) => data.buffer)),
    );
    this.writtenAt = performance.now();
  }

  private async writeResults(): Promise<void> {
    const { results, startedAtMs } = this.progress;
    await this.folder.writeResults(results);
    if (this.options.tensorboard) await this.folder.writeTensorBoard(results, startedAtMs);
  }

  /** Of this call's time; negative where it is up. */
  private get leftMs(): number {
    return (this.options.timeLimitMs ?? Infinity) - (performance.now() - this.began);
  }

  private get isTimeUp(): boolean {
    return this.leftMs < 0;
  }

  /** Of all parts of the run. */
  private get elapsedMs(): number {
    return this.elapsedBefore + performance.now() - this.began;
  }

  /** Adds the time that has passed since the last call to the epoch under way. */
  private countTime(): void {
    const now = performance.now();
    this.progress.partial.elapsedMs += now - this.countedUntil;
    this.countedUntil = now;
  }

  /** Whether the metric has not improved for as many epochs as it may. */
  private get hasWaitedEnough(): boolean {
    const { best, results } = this.progress;
    return best !== null && this.settings.patience !== null && results.length - best.epoch >= this.settings.patience;
  }

  private async save(): Promise<void> {
    this.countTime();
    this.unwritten.state = await this.finiteState(this.progress.results.length + 1);
    await this.write();
  }

  /** The state, all of numbers: another is never kept. @throws UserError `diverged`. */
  private async finiteState(epoch: number): Promise<ReadonlyMap<string, Tensor>> {
    const state = await this.engine.getState();
    if (nonFiniteIn(state) === undefined) return state;
    throw await this.notANumber(epoch, this.progress.partial.steps, new Int32Array());
  }

  /** Metrics of the validation photos under the current parameters. @throws UserError `stopped` when the signal fires. */
  private async *evaluate(epoch: number): AsyncGenerator<TrainEvent, Evaluated> {
    const slots = Int32Array.from(this.valSlots);
    const classes = this.manifest.classes.length;
    const logits = new Float32Array(slots.length * classes);
    for (let done = 0; done < slots.length;) {
      const some = slots.subarray(done, done + EVALUATED_PER_CALL);
      const found = yield* this.logitsOf(some, epoch);
      if (this.options.signal?.aborted) throw new UserError('stopped', 'stopped while evaluating');
      logits.set(found, done * classes);
      done += some.length;
      yield { type: 'progress', phase: 'evaluating', epoch, done, total: slots.length };
    }
    const labels = this.valPhotos.map(({ label }) => label);
    return { metrics: metricsOf(logits, labels, classes), logits };
  }

  /** The validation photos that could be read, in the order of their slots. */
  private get valPhotos(): Photo[] {
    const { val } = this.options.dataset;
    return this.valSlots.flatMap((slot) => val[slot - this.firstVal] ?? []);
  }

  /** Raises the learning rate step by step until the loss runs away, takes the middle of its fall, and puts everything back. */
  private async *findLearningRate(): AsyncGenerator<TrainEvent> {
    const { batch } = this.settings;
    const before = await this.engine.getState();
    const rates = rangeOfRates(RANGE_STEPS);
    const order = this.orderOf(1);
    const losses: number[] = [];
    while (losses.length < rates.length) {
      const step = losses.length;
      const until = Math.min(rates.length, step + 10);
      const slots = Int32Array.from(
        { length: (until - step) * batch },
        (_, index) => order[(step * batch + index) % order.length] ?? -1,
      );
      const result = await this.engine.steps({
        slots,
        learningRates: rates.subarray(step, until),
        firstStep: step + 1,
        ...this.targetsOf(slots),
      });
      // Of a part of the range another learning rate would come out: the run that goes on looks again, from the same weights.
      if (this.options.signal?.aborted) throw new UserError('stopped', 'stopped while looking for a learning rate');
      losses.push(...result.losses);
      if (result.lost) {
        yield* this.fillAgain(result.lost, 1);
        continue;
      }
      yield {
        type: 'progress',
        phase: 'looking for a learning rate',
        epoch: 1,
        done: losses.length,
        total: rates.length,
      };
      const last = losses.at(-1) ?? NaN;
      if (!(last < 4 * Math.min(...losses))) break;
    }
    if (!Number.isFinite(losses[0])) throw await this.notANumber(1, 1, order.subarray(0, batch));
    await this.engine.setState(before);
    const curve = smoothed(losses.filter(Number.isFinite));
    const learningRate = valleyOf(rates, curve);
    if (learningRate === undefined)
      throw new UserError('no-learning-rate', 'the loss fell at no learning rate from 1e-6 to 1; state one (--lr)');
    this.progress.learningRate = learningRate;
    const figure = 'learning-rate.svg';
    await writeFileAtomically(this.folder.path(figure), await drawRange(rates, curve, learningRate));
    yield { type: 'learning-rate', learningRate, figure: join(this.options.out, figure) };
  }

  /**
   * What to throw when the loss, the logits of `slots`, or the state are no numbers any more: that the training has diverged, unless
   * it began with such a photo.
   */
  private async notANumber(epoch: number, step: number, slots: Int32Array): Promise<UserError> {
    const photo = await this.blamed(slots.filter((slot) => slot >= 0));
    if (photo === undefined) return this.diverged(epoch, step, 'is no longer a number');
    await this.write({ progress: false });
    const { boundaryDtype } = this.settings;
    const range = boundaryDtype === 'float16' ? 'float16 may not hold its features (--cache-dtype float32); else ' : '';
    return new UserError(
      'not-finite',
      `the model gives no numbers (NaN, or infinite) for ${photo} before it has learned anything: ${range}check how its pixels are normalised (--preprocessing), and the model`,
    );
  }

  /** The first photo of `slots` for which the model gives no numbers with the parameters that the training began with. */
  private async blamed(slots: Int32Array): Promise<string | undefined> {
    const classes = this.manifest.classes.length;
    await this.engine.setState(loadArtifacts(this.folder.path('artifacts')).state);
    for (let done = 0; done < slots.length; done += EVALUATED_PER_CALL) {
      const some = slots.subarray(done, done + EVALUATED_PER_CALL);
      const logits = await resultOf(this.logitsOf(some, this.progress.results.length + 1));
      for (const [row, slot] of some.entries())
        if (!allFinite(logits.subarray(row * classes, (row + 1) * classes))) return this.nameOf(slot);
    }
    return undefined;
  }

  private nameOf(slot: number): string {
    const { train, val } = this.options.dataset;
    if (slot >= this.firstVal) return val[slot - this.firstVal]?.path ?? '';
    // Those that are mixed lie in another order.
    return this.targets ? 'a mixture of photos' : (train[slot % train.length]?.path ?? '');
  }

  /** What to throw when the loss runs away; the best weights so far become the model. */
  private async diverged(epoch: number, step: number, what: string): Promise<UserError> {
    // The state is of a finished epoch, and the progress is further: only the weights can be written.
    await this.write({ progress: false });
    const { best, learningRate } = this.progress;
    let kept = 'no epoch was finished';
    if (best) {
      await this.exportModel(this.folder.readBest());
      kept = `${this.model} has the weights of epoch ${best.epoch}`;
    }
    return new UserError(
      'diverged',
      `the loss ${what} at epoch ${epoch}, step ${step}; ${kept}; try a smaller learning rate than ${learningRate} (--lr)`,
    );
  }

  private get model(): string {
    return join(this.options.out, 'model.onnx');
  }

  /** Where the frozen part ran in whole numbers, the model in float beside the one that was evaluated. */
  private get floatModel(): string {
    return join(this.options.out, FLOAT_MODEL);
  }

  private async exportModel(parameters: ReadonlyMap<string, Tensor>): Promise<void> {
    const { frozen, preprocessing } = this.manifest;
    const tuned = tunedModel(this.options.model.proto, this.manifest, parameters);
    if (frozen) {
      const { height, width } = preprocessing;
      await writeModel(tuned, this.floatModel);
      await writeModel(quantizeModel(tuned, planOf(frozen), [height, width]), this.model);
    } else {
      await writeModel(tuned, this.model);
    }
  }

  /**
   * Keeps what was learned of a first epoch that the time ended as what becomes the model, while the progress is still in it.
   * @throws UserError `stopped` where it was not the time.
   */
  private async keepPart(): Promise<NonNullable<Summary['part']>> {
    const { options, manifest, progress, folder } = this;
    const { steps } = progress.partial;
    if (this.endedBy !== 'time-limit' || options.signal?.aborted) {
      const kept = folder.holdsOldRun
        ? `the run in ${options.out} is as it was`
        : steps > 0
          ? `what was learned is in ${options.out}/last`
          : 'nothing was learned yet';
      throw new UserError('stopped', `stopped before the first epoch was finished; ${kept}`);
    }
    const parameters = parametersOf(manifest, await this.engine.getState());
    await folder.writeBest(parameters, { epoch: 1, steps }, manifest.source.sha256);
    await folder.settleBest(1);
    return { epoch: 1, steps, of: this.stepsPerEpoch };
  }

  /** What the exported model gives on the validation photos; undefined where a signal leaves no time for it. */
  private async *evaluateAtEnd(epoch: number): AsyncGenerator<TrainEvent, Evaluated | undefined> {
    if (this.options.signal?.aborted) return undefined;
    try {
      return yield* this.evaluate(epoch);
    } catch (thrown) {
      if (thrown instanceof UserError && thrown.code === 'stopped') return undefined;
      throw thrown;
    }
  }

  /** As they were when the epoch was finished. @throws UserError `stopped` where none was. */
  private metricsOfEpoch(epoch: number): Omit<Metrics, 'classes' | 'confusion'> {
    const result = this.progress.results.find((each) => each.epoch === epoch);
    if (!result)
      throw new UserError(
        'stopped',
        `stopped before the first epoch was finished; what was learned is in ${this.options.out}/last`,
      );
    return { ...result, loss: result.valLoss };
  }

  /** Exports the best weights, runs the exported model again, and writes the summary. A signal makes it short: what it leaves out is told. */
  async *finish(tell: <Event extends TrainEvent>(event: Event) => Event): AsyncGenerator<TrainEvent, Summary> {
    const { options, settings, progress, folder, manifest } = this;
    const { dataset, signal } = options;
    await this.write();
    const part = progress.best ? undefined : await this.keepPart();
    const parameters = folder.readBest();
    await this.exportModel(parameters);
    await this.engine.setState(inPlaceOfAverages(manifest, parameters));
    const bestEpoch = progress.best?.epoch ?? 1;
    const evaluated = yield* this.evaluateAtEnd(bestEpoch);
    if (evaluated && !allFinite(evaluated.logits)) throw notFinite(`the weights of epoch ${bestEpoch} give no numbers`);
    // Before another session takes its memory.
    await this.engine.close();
    const leftOut: FinalPart[] = evaluated ? [] : ['evaluation'];
    const photos = this.valPhotos;
    const { logits = new Float32Array() } = evaluated ?? {};
    const isReported =
      evaluated !== undefined &&
      (await folder.writeReport(progress.results, dataset.classes, evaluated.metrics, photos, logits, signal));
    if (!isReported) leftOut.push('report');
    const wanted = Math.min(options.verify ?? VERIFIED_PHOTOS, photos.length);
    const count = signal?.aborted ? 0 : wanted;
    const tolerance = toleranceOf(settings);
    const checked = { count, logits, threads: settings.threads, tolerance, signal };
    const { right, ...verified } = yield* verify(this.model, photos, checked);
    const inFloat = manifest.frozen && count > 0 ? yield* verify(this.floatModel, photos, checked) : undefined;
    const isVerified = !signal?.aborted || (verified.photos === wanted && (!inFloat || inFloat.photos === wanted));
    if (!isVerified) leftOut.push('verification');
    const metrics = evaluated?.metrics ?? this.metricsOfEpoch(bestEpoch);
    const { loss, top1, top5, macroF1, balancedAccuracy } = metrics;
    const summary: Summary = {
      policy: manifest.policy,
      notes: manifest.notes,
      warnings: manifest.warnings,
      seed: settings.seed,
      epochs: progress.results.length,
      endedBy: this.endedBy,
      ...(part ? { part } : {}),
      top1,
      bestEpoch,
      metric: settings.metric,
      metrics: { loss, top1, top5, macroF1, balancedAccuracy },
      perClass: evaluated?.metrics.classes ?? [],
      elapsedMs: this.elapsedMs,
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
      model: this.model,
      classes: dataset.classes,
      trainPhotos: this.trainPhotos,
      valPhotos: photos.length,
      photos: this.account(),
      duplicates: this.foundDuplicates().counts,
      skipped: this.skipped.list,
      batch: settings.batch,
      learningRate: progress.learningRate,
      optimizer: settings.optimizer.name,
      threads: settings.threads,
      provider: settings.provider,
      cost: manifest.cost,
      verified,
      ...(manifest.frozen && inFloat && isVerified
        ? {
            frozen: {
              precision: manifest.frozen.precision,
              calibration: manifest.frozen.calibration,
              photos: count,
              model: this.floatModel,
              agreeing: inFloat.agreeing,
              top1: { int8: right / count, float32: inFloat.right / count },
            },
          }
        : {}),
      moves: progress.moves,
      leftOut,
      stopped: this.endedBy === 'interrupt' || leftOut.length > 0,
    };
    await folder.writeSummary(summary);
    yield tell({ type: 'done', summary });
    return summary;
  }
}

interface Evaluated {
  readonly metrics: Metrics;
  /** [photos, classes]. */
  readonly logits: Float32Array;
}

/** What is evaluated and exported of a state: parameters, or their averages, and the statistics of normalizations. */
function parametersOf(manifest: Manifest, state: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const statistics = manifest.statistics.map(({ name }) => ({ name, average: name }));
  return new Map(
    [...manifest.parameters, ...statistics].flatMap(({ name, average = name }) => {
      const tensor = state.get(average);
      return tensor ? [[name, tensor] as const] : [];
    }),
  );
}

/** State in which `parameters` are evaluated, be there averages or not. */
function inPlaceOfAverages(manifest: Manifest, parameters: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> {
  const averages = manifest.parameters.flatMap(({ name, average }) => {
    const value = parameters.get(name);
    return average !== undefined && value ? [[average, value] as const] : [];
  });
  return new Map([...parameters, ...averages]);
}

/** Photos on which the exported model is run again unless said otherwise. */
const VERIFIED_PHOTOS = 256;
/** Epochs that are shorter are written together: flushing files to the disk takes longer than a short epoch does. */
const WRITE_EVERY_MS = 2000;
/** An epoch that takes longer than this is also saved on the way. */
const SAVE_EVERY_MS = 60_000;

interface Verification extends Agreement {
  /** Photos whose class is right. */
  readonly right: number;
}

interface Verifying {
  /** How many of the photos, spread evenly. */
  readonly count: number;
  /** What the evaluation that chose the model gave, [photos, classes]. */
  readonly logits: Float32Array;
  readonly threads: number;
  /** The share of the largest logit by which logits may differ. */
  readonly tolerance: number;
  /** Ends it after the photo under way. */
  readonly signal: AbortSignal | undefined;
}

/** Runs the exported model again, as a program that deploys it would, and compares its logits with the chosen evaluation's. */
async function* verify(
  model: string,
  photos: readonly Photo[],
  { count, logits, threads, tolerance, signal }: Verifying,
): AsyncGenerator<TrainEvent, Verification> {
  if (count === 0) return { ...new Comparison(false).result(tolerance), right: 0 };
  // Spread evenly, since the photos of a class stand together.
  const places = Array.from({ length: count }, (_, index) => Math.floor((index * photos.length) / count));
  const chosen = places.flatMap((place) => photos[place] ?? []);
  const classifier = await ImageClassifier.open(model, threads);
  const classes = classifier.labels.length;
  const comparison = new Comparison(classifier.endsInSoftmax);
  let [done, right] = [0, 0];
  try {
    for await (const { index, photo, scores } of classifyPhotos(classifier, chosen)) {
      if (signal?.aborted) break;
      const row = (places[index] ?? 0) * classes;
      comparison.add(logits.subarray(row, row + classes), scores);
      if (predictionOf(scores) === photo.label) right++;
      if (++done % 16 === 0 || done === count)
        yield { type: 'progress', phase: 'verifying', epoch: 0, done, total: count };
    }
  } finally {
    await classifier.close();
  }
  return { ...comparison.result(tolerance), right };
}

/** A name for a run: the model's and the policy's. */
export function runName(model: string, policy: string): string {
  return `${basename(model, '.onnx')}-${policyFileName(policy)}`;
}
