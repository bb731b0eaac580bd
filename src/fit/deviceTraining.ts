import type { Manifest } from '../artifacts/manifest.js';
import { augmentation } from '../data/augment/augmentationSettings.js';
import type { Dataset } from '../data/dataset.js';
import type { Photo } from '../data/photo.js';
import { UserError } from '../errors.js';
import { allFinite, nonFiniteIn } from '../finite.js';
import type { Tensor } from '../onnx/tensor.js';
import type { Engine } from '../runtime/engine.js';
import type { Settled } from '../settings.js';
import { ratesOfEpoch } from '../train/epochRates.js';
import { runaway, STEPS_PER_CALL, takeSteps } from '../train/epochSteps.js';
import { inPlaceOfAverages } from '../train/evaluatedState.js';
import type { TrainEvent } from '../train/events.js';
import type { AnyMetrics } from '../train/headline.js';
import { cacheEvent, openEngine } from '../train/openEngine.js';
import { PhotoSlots } from '../train/photoSlots.js';
import { Validation } from '../train/validation.js';
import { slotsFor } from '../train/views.js';
import type { SharedParameters } from './federation.js';
import type { FitMetrics, FitReport } from './fitReport.js';
import type { fitSettings } from './fitSettings.js';

/** What happens while a device trains; `fitted` tells of an epoch's mean loss. */
export type FitEvent =
  TrainEvent | { readonly type: 'fitted'; readonly epoch: number; readonly epochs: number; readonly trainLoss: number };

/** What a device is to train. */
export interface Learnable {
  readonly manifest: Manifest;
  readonly settings: Settled<typeof fitSettings>;
  readonly learningRate: number;
  /** What it begins with. */
  readonly given: SharedParameters;
  /** Labelled as the artifacts' classes are; undefined where nothing is trained or evaluated. */
  readonly dataset: Dataset | undefined;
}

type State = ReadonlyMap<string, Tensor>;

/** What came of it; `state` is undefined where nothing was trained. */
export interface DeviceResult extends Pick<
  FitReport,
  'skipped' | 'steps' | 'trainLoss' | 'before' | 'after' | 'features'
> {
  readonly state: State | undefined;
  /** Those that could be read; where none are read to train with, those that were found. */
  readonly trainPhotos: readonly Photo[];
  readonly valPhotos: number;
  readonly seconds: Omit<FitReport['seconds'], 'total'>;
}

/** The parts of a training whose photos have slots. */
interface Parts {
  readonly engine: Engine;
  readonly slots: PhotoSlots;
  readonly validation: Validation;
}

/** Epochs of a device on its photos: they are read once, and steps are taken as a training of `ort-tl train` takes them. */
export class DeviceTraining {
  private readonly seconds = { features: 0, training: 0, evaluation: 0 };
  private readonly trainLoss: number[] = [];
  private steps = 0;
  private firstLoss: number | undefined;

  constructor(
    private readonly learnable: Learnable,
    private readonly artifacts: string,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async *run(): AsyncGenerator<FitEvent, DeviceResult> {
    const { dataset, settings } = this.learnable;
    const trains = settings.epochs > 0;
    // To evaluate, the others need not be read.
    const read = dataset && { ...dataset, train: trains ? dataset.train : [] };
    if (read && read.train.length + read.val.length > 0) return yield* this.onPhotos(read, dataset.train);
    if (dataset && trains) throw this.noPhotos(dataset);
    return this.resultOf(undefined, { trainPhotos: dataset?.train ?? [], before: null, after: null });
  }

  private async *onPhotos(dataset: Dataset, found: readonly Photo[]): AsyncGenerator<FitEvent, DeviceResult> {
    const { learnable, signal } = this;
    const { manifest, settings, given } = learnable;
    const { task, batch } = manifest;
    const { threads, epochs, proximal, seed, maxBad, cache, memoryBytes } = settings;
    const views = { augmentation: augmentation.parse(undefined), views: 0 };
    const engine = await openEngine(
      this.artifacts,
      { dataset, signal, cache, memoryBytes },
      { threads, provider: 'cpu', epochs, proximal, ...views },
      manifest,
    );
    try {
      const cached = await engine.cacheState();
      if (cached) yield await cacheEvent(cached, slotsFor(dataset, views));
      await engine.setState(inPlaceOfAverages(manifest, given));
      const slots = new PhotoSlots(
        engine,
        manifest,
        { ...views, ...{ seed, batch, task, maxBad }, sampling: 'shuffled' },
        dataset,
        { cached: cached && new Set(cached.keys), signal, isShare: true },
      );
      const validation = new Validation(engine, slots, { task, classes: manifest.classes.length }, signal);
      yield { type: 'reading' };
      yield* this.timed('features', slots.read(1));
      await engine.releaseFrozen();
      const parts = { engine, slots, validation };
      if (epochs === 0) {
        const before = yield* this.evaluate(parts, 0);
        return this.resultOf(slots, { trainPhotos: found, before, after: before });
      }
      if (slots.trainPhotos === 0) throw this.noPhotos(dataset);
      return yield* this.train(parts);
    } finally {
      await engine.close();
    }
  }

  private async *train(parts: Parts): AsyncGenerator<FitEvent, DeviceResult> {
    const { epochs } = this.learnable.settings;
    const { engine, slots } = parts;
    const before = yield* this.evaluate(parts, 0);
    for (let epoch = 1; epoch <= epochs; epoch++) {
      const trainLoss = yield* this.timed('training', this.trainEpoch(parts, epoch));
      this.trainLoss.push(trainLoss);
      yield { type: 'fitted', epoch, epochs, trainLoss };
    }
    const state = await engine.getState();
    if (nonFiniteIn(state) !== undefined) throw this.diverged('is no longer a number', epochs, slots.stepsPerEpoch);
    const after = yield* this.evaluate(parts, epochs);
    return { ...this.resultOf(slots, { trainPhotos: slots.readTrainPhotos, before, after }), state };
  }

  /** Gives the mean loss of the epoch's photos. @throws UserError `diverged`, `not-finite`, `stopped`. */
  private async *trainEpoch({ engine, slots }: Parts, epoch: number): AsyncGenerator<TrainEvent, number> {
    const { manifest, settings, learningRate } = this.learnable;
    const { batch, task, classes } = manifest;
    const { stepsPerEpoch, trainPhotos } = slots;
    const learningRates = ratesOfEpoch(epoch, stepsPerEpoch, learningRate, { ...settings, schedule: 'constant' });
    const underWay = { epoch, order: slots.orderOf(epoch), learningRates };
    let lossSum = 0;
    for (let step = 0; step < stepsPerEpoch;) {
      this.checkStopped();
      const taken = yield* takeSteps({ engine, slots, batch }, underWay, step);
      if (!taken) continue;
      const { losses } = taken;
      this.firstLoss ??= losses[0] ?? NaN;
      if (!Number.isFinite(this.firstLoss)) throw notFinite('with the parameters that were given');
      step += losses.length;
      if (!allFinite(losses)) throw this.diverged('is no longer a number', epoch, step);
      const what = runaway(losses, { task, classes: classes.length, firstLoss: this.firstLoss });
      this.steps += losses.length;
      if (what !== undefined && this.steps >= STEPS_PER_CALL) throw this.diverged(what, epoch, step);
      lossSum += taken.lossSum;
      const done = Math.min(step * batch, trainPhotos);
      yield { type: 'progress', phase: 'training', epoch, done, total: trainPhotos };
    }
    this.checkStopped();
    return lossSum / trainPhotos;
  }

  private async *evaluate({ slots, validation }: Parts, epoch: number): AsyncGenerator<TrainEvent, FitMetrics | null> {
    if (slots.valSlots.length === 0) return null;
    const { metrics, logits } = yield* this.timed('evaluation', validation.evaluate(epoch));
    if (!allFinite(logits)) {
      if (epoch === 0) throw notFinite('with the parameters that were given');
      throw this.diverged('is no longer a number', epoch, slots.stepsPerEpoch);
    }
    return metricsOf(metrics, slots.valSlots.length);
  }

  /** Passes on what `work` gives, and adds the time until its end. */
  private async *timed<Event, Result>(
    what: keyof DeviceResult['seconds'],
    work: AsyncGenerator<Event, Result>,
  ): AsyncGenerator<Event, Result> {
    const began = performance.now();
    const result = yield* work;
    this.seconds[what] += (performance.now() - began) / 1000;
    return result;
  }

  private resultOf(
    slots: PhotoSlots | undefined,
    found: Pick<DeviceResult, 'trainPhotos' | 'before' | 'after'>,
  ): DeviceResult {
    const { seconds, steps, trainLoss } = this;
    return {
      state: undefined,
      ...{ seconds, steps, trainLoss, ...found },
      valPhotos: slots?.valSlots.length ?? 0,
      skipped: slots?.skipped ?? [],
      features: slots ? { ...slots.tally } : { computed: 0, kept: 0 },
    };
  }

  private checkStopped(): void {
    if (this.signal?.aborted)
      throw new UserError('stopped', 'stopped before the device had learned; nothing is written');
  }

  private noPhotos({ folder }: Dataset): UserError {
    return new UserError(
      'no-photos',
      `${folder} has no readable photos to train with; add some, or let fewer validate (‹valFraction›)`,
    );
  }

  private diverged(what: string, epoch: number, step: number): UserError {
    return new UserError(
      'diverged',
      `the loss ${what} at epoch ${epoch}, step ${step}; nothing is written; try a smaller learning rate than ${this.learnable.learningRate} (‹learningRate›)`,
    );
  }
}

const notFinite = (when: string) =>
  new UserError(
    'not-finite',
    `the model gives no numbers (NaN, or infinite) for a photo ${when}: check those, how its pixels are normalised (‹preprocessing› of ort-tl compile), and the model`,
  );

function metricsOf(metrics: AnyMetrics, evaluated: number): FitMetrics {
  const { loss } = metrics;
  if ('map' in metrics) return { loss, map: metrics.map, evaluated };
  const { top1, confusion } = metrics;
  return { loss, top1, correct: confusion.reduce((sum, row, index) => sum + (row[index] ?? 0), 0), evaluated };
}
