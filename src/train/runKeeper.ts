import type { Manifest } from '../artifacts/manifest.js';
import { UserError } from '../errors.js';
import { sha256 } from '../files.js';
import { giveBack } from '../giveBack.js';
import type { Tensor } from '../onnx/tensor.js';
import { type Identity, NO_STEPS, type Progress, writeLast } from './checkpoint.js';
import { parametersOf } from './evaluatedState.js';
import type { EpochResult, TrainEvent } from './events.js';
import type { Settings, TrainOptions } from './trainOptions.js';
import { changesOf, placeOf } from './trainingPlace.js';
import type { RunClock } from './runClock.js';
import type { Best, RunFolder } from './runFolder.js';

/** Epochs that are shorter are written together: flushing files to the disk takes longer than a short epoch does. */
const WRITE_EVERY_MS = 2000;

type State = ReadonlyMap<string, Tensor>;

/** An epoch that is finished. */
export interface FinishedEpoch {
  readonly result: EpochResult;
  readonly state: State;
  /** The value by which it is the best so far; undefined where it is not. */
  readonly bestBy: number | undefined;
  /** Of labels: from which probability on a photo has each. */
  readonly thresholds?: readonly number[] | undefined;
}

/** How far a training is when it begins. */
export function newProgress(settings: Settings, identity: Identity): Progress {
  return {
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
}

/** Keeps what a run has learned: knows how far it is, and writes `best/`, `last/` and the results. */
export class RunKeeper {
  /** What finished epochs left behind since something was last written. */
  private unwritten: {
    best?: Best & { readonly result: EpochResult };
    state?: State;
  } = {};
  private writtenAt = -Infinity;

  constructor(
    readonly progress: Progress,
    private readonly folder: RunFolder,
    private readonly manifest: Manifest,
    private readonly clock: RunClock,
    private readonly options: Pick<TrainOptions, 'out' | 'tensorboard' | 'signal'>,
  ) {}

  /** Tells where the run goes on, and whether it does so elsewhere. */
  goOn(epoch: number, settings: Settings): TrainEvent {
    const { progress } = this;
    const { steps: step } = progress.partial;
    const place = placeOf(settings);
    const changes = changesOf(progress.place ?? progress.settings, place);
    if (changes.length > 0) progress.moves.push({ epoch, step, changes });
    progress.place = place;
    return { type: 'resumed', epoch, step, changes };
  }

  /**
   * Remembers which photos could be read, by their slots.
   * @throws UserError `cannot-resume` where they are not the same as before: the steps that are left would be other ones.
   */
  checkRead(slots: readonly number[]): void {
    const { progress } = this;
    const read = { photos: slots.length, digest: sha256(Buffer.from(JSON.stringify(slots))) };
    const before = progress.read ?? read;
    if (before.digest !== read.digest)
      throw new UserError(
        'cannot-resume',
        `cannot go on with ${this.options.out}: ${before.photos} of its photos could be read, now it is ${read.photos === before.photos ? 'others' : read.photos}; put back those that it was begun with (skipped.csv names those that cannot be read)`,
      );
    progress.read = read;
  }

  /** Adds the time that has passed to the epoch under way. */
  countTime(): void {
    this.progress.partial.elapsedMs += this.clock.countEpochMs();
  }

  /** Keeps what an epoch leaves behind, to be written later. */
  finishEpoch({ result, state, bestBy, thresholds }: FinishedEpoch): void {
    const { progress } = this;
    if (bestBy !== undefined) {
      this.unwritten.best = { parameters: parametersOf(this.manifest, state), thresholds, result };
      progress.best = { epoch: result.epoch, value: bestBy };
    }
    progress.results.push(result);
    progress.partial = { ...NO_STEPS };
    this.unwritten.state = state;
  }

  /** Writes what is unwritten, unless something was written just now. */
  async writeInTime(): Promise<void> {
    if (performance.now() - this.writtenAt > WRITE_EVERY_MS) await this.write();
  }

  /** Writes the state of an epoch that is under way. */
  async save(state: State): Promise<void> {
    this.unwritten.state = state;
    await this.write();
  }

  /** Writes what finished epochs leave behind: the best weights before the progress that tells of them. */
  async write({ progress: withProgress = true } = {}): Promise<void> {
    const { folder, progress, options } = this;
    const { best, state } = this.unwritten;
    this.unwritten = {};
    if (best) await folder.writeBest(best, best.result, this.manifest.source.sha256);
    if (state) {
      progress.elapsedMs = this.clock.elapsedMs;
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

  /** Writes what the training has learned of its first epoch, `steps` of it, as the best weights. */
  async writePartAsBest(state: State, steps: number): Promise<void> {
    const best = { parameters: parametersOf(this.manifest, state), thresholds: undefined };
    await this.folder.writeBest(best, { epoch: 1, steps }, this.manifest.source.sha256);
    await this.folder.settleBest(1);
  }

  async writeResults(): Promise<void> {
    const { results, startedAtMs } = this.progress;
    await this.folder.writeResults(results);
    if (this.options.tensorboard) await this.folder.writeTensorBoard(results, startedAtMs);
  }
}
