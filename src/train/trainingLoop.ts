import { UserError } from '../errors.js';
import { allFinite } from '../finite.js';
import { Plateau } from '../optim/schedule.js';
import { diverged, finiteState, notANumber } from './divergence.js';
import { ratesOfEpoch } from './epochRates.js';
import { runaway, STEPS_PER_CALL, takeSteps, type TakenSteps } from './epochSteps.js';
import type { EndedBy, EpochResult, TrainEvent } from './events.js';
import { type AnyMetrics, metricCalled, summed, thresholdsOf } from './headline.js';
import { isBetterEpoch, type Measured } from './metrics.js';
import type { RunParts } from './runParts.js';
import { makesNewViews } from './views.js';

/** An epoch that takes longer than this is also saved on the way. */
const SAVE_EVERY_MS = 60_000;

/** The epochs of a training: their steps and learning rates, and what ends them. */
export class TrainingLoop {
  private readonly plateau: Plateau;
  private endedBy: EndedBy = 'epochs';

  constructor(private readonly run: RunParts) {
    this.plateau = new Plateau(run.settings.plateauPatience);
    for (const { valLoss } of run.keeper.progress.results) this.plateau.observe(valLoss);
  }

  /** Whether the metric has not improved for as many epochs as it may. */
  get hasWaitedEnough(): boolean {
    const { best, results } = this.run.keeper.progress;
    const { patience, metric } = this.run.settings;
    if (best === null || patience === null) return false;
    // A smaller loss beside the same metric makes a better epoch, and is no improvement of the metric.
    const reached = results.find((each) => (metric === 'loss' ? each.valLoss : each[metric]) === best.value);
    return results.length - (reached?.epoch ?? best.epoch) >= patience;
  }

  /**
   * Trains from an epoch to the last one, or until something else ends it, and gives what. All that was learned is then in `last/`, or to
   * be written.
   * @throws UserError `diverged`, `not-finite`.
   */
  async *train(firstEpoch: number): AsyncGenerator<TrainEvent, EndedBy> {
    const { signal } = this.run.options;
    try {
      yield* this.trainEpochs(firstEpoch);
    } catch (thrown) {
      if (!(thrown instanceof UserError) || thrown.code !== 'stopped') throw thrown;
      this.endedBy = signal?.aborted ? 'interrupt' : 'time-limit';
    }
    if (this.endedBy === 'interrupt' || this.endedBy === 'time-limit') await this.save();
    return this.endedBy;
  }

  private async *trainEpochs(firstEpoch: number): AsyncGenerator<TrainEvent> {
    const { settings, options, clock, keeper, slots } = this.run;
    for (let epoch = firstEpoch; epoch <= settings.epochs; epoch++) {
      if (this.hasWaitedEnough) {
        this.endedBy = 'patience';
        return;
      }
      if (epoch > firstEpoch) {
        // An epoch before this one was finished in this call.
        if (clock.isTimeUp) {
          this.endedBy = 'time-limit';
          return;
        }
        clock.startEpoch();
        if (makesNewViews(settings)) {
          await keeper.write();
          yield* slots.renew(epoch, () => clock.isTimeUp);
        }
      }
      yield* this.trainEpoch(epoch);
      if (options.signal?.aborted) this.endedBy = 'interrupt';
      if (this.endedBy !== 'epochs') return;
      yield* this.finishEpoch(epoch);
    }
  }

  /** Takes the steps of an epoch that are left, and adds them up in the progress. */
  private async *trainEpoch(epoch: number): AsyncGenerator<TrainEvent> {
    const { settings, options, clock, engine, keeper, slots } = this.run;
    const { batch } = settings;
    const { partial } = keeper.progress;
    const { stepsPerEpoch, trainPhotos } = slots;
    const underWay = { epoch, order: slots.orderOf(epoch), learningRates: this.learningRatesOf(epoch) };
    let savedAt = clock.epochCountedUntil;
    while (partial.steps < stepsPerEpoch && !options.signal?.aborted) {
      const limitMs = Math.max(0, clock.leftMs);
      const taken = yield* takeSteps({ engine, slots, batch }, underWay, partial.steps, limitMs);
      if (!taken) continue;
      await this.addUp(taken, epoch);
      const done = Math.min(partial.steps * batch, trainPhotos);
      yield { type: 'progress', phase: 'training', epoch, done, total: trainPhotos };
      const now = performance.now();
      if (clock.isTimeUp && partial.steps < stepsPerEpoch) {
        this.endedBy = 'time-limit';
        return;
      }
      if (now - savedAt > SAVE_EVERY_MS && partial.steps < stepsPerEpoch) {
        savedAt = now;
        await this.save();
      }
    }
  }

  /**
   * Adds steps that were taken to the epoch under way.
   * @throws UserError `diverged`, `not-finite` where the loss runs away.
   */
  private async addUp({ losses, slots: images, ...taken }: TakenSteps, epoch: number): Promise<void> {
    const { settings, keeper, manifest, slots } = this.run;
    const { batch } = settings;
    const { progress } = keeper;
    const { partial } = progress;
    const step = partial.steps;
    for (const [index, loss] of losses.entries()) {
      const own = images.subarray(index * batch, (index + 1) * batch);
      if (!Number.isFinite(loss)) throw await notANumber(this.run, { epoch, step: step + index + 1 }, own);
    }
    partial.lossSum += taken.lossSum;
    progress.firstLoss ??= losses[0] ?? null;
    const until = step + Math.ceil(images.length / batch);
    const expected = { task: manifest.task, classes: manifest.classes.length, firstLoss: progress.firstLoss ?? 0 };
    const what = runaway(losses, expected);
    if ((epoch - 1) * slots.stepsPerEpoch + until >= STEPS_PER_CALL && what !== undefined)
      throw await diverged(this.run, { epoch, step: until }, what);
    partial.steps += losses.length;
    partial.correct += taken.correct;
    partial.images += taken.images;
  }

  private learningRatesOf(epoch: number): Float32Array {
    const { settings, slots, keeper } = this.run;
    return ratesOfEpoch(epoch, slots.stepsPerEpoch, keeper.progress.learningRate * this.plateau.factor, settings);
  }

  /** Evaluates, and keeps what an epoch leaves behind, which is written now or with the next ones. */
  private async *finishEpoch(epoch: number): AsyncGenerator<TrainEvent> {
    const { settings, keeper, validation, slots } = this.run;
    if (keeper.progress.partial.images === 0) return;
    const { metrics, logits } = yield* validation.evaluate(epoch);
    const state = await finiteState(this.run, epoch);
    const last = { epoch, step: slots.stepsPerEpoch };
    if (!allFinite(logits)) throw await notANumber(this.run, last, Int32Array.from(slots.valSlots));
    const result = this.resultOf(epoch, metrics);
    const value = metricCalled(summed(metrics), settings.metric);
    const best = isBetterEpoch(settings.metric, { value, loss: metrics.loss }, this.bestYet);
    keeper.finishEpoch({ result, state, bestBy: best ? value : undefined, thresholds: thresholdsOf(metrics) });
    this.plateau.observe(result.valLoss);
    // First of all: a run that goes on takes back what is logged and not saved, and cannot log what is saved.
    yield { type: 'epoch', result, epochs: settings.epochs, best };
    await keeper.writeInTime();
  }

  /** The best epoch before this one. */
  private get bestYet(): Measured | undefined {
    const { best, results } = this.run.keeper.progress;
    if (!best) return undefined;
    return { value: best.value, loss: results.find(({ epoch }) => epoch === best.epoch)?.valLoss ?? NaN };
  }

  private resultOf(epoch: number, metrics: AnyMetrics): EpochResult {
    const { keeper } = this.run;
    keeper.countTime();
    const { lossSum, correct, images, elapsedMs } = keeper.progress.partial;
    const { loss: valLoss, ...worth } = summed(metrics);
    return {
      epoch,
      learningRate: this.learningRatesOf(epoch)[0] ?? 0,
      trainLoss: lossSum / images,
      ...(this.run.settings.task === 'labels' ? {} : { trainTop1: correct / images }),
      valLoss,
      ...worth,
      elapsedMs,
      imagesPerSecond: (1000 * images) / elapsedMs,
    };
  }

  private async save(): Promise<void> {
    const { keeper } = this.run;
    keeper.countTime();
    await keeper.save(await finiteState(this.run, keeper.progress.results.length + 1));
  }
}
