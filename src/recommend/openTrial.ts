import type { Manifest } from '../artifacts/manifest.js';
import { targetRows } from '../data/labels.js';
import type { Photo } from '../data/photo.js';
import { SkippedPhotos } from '../data/skippedPhotos.js';
import { UserError } from '../errors.js';
import { allFinite } from '../finite.js';
import type { Tensor } from '../onnx/tensor.js';
import { shareOfPeak } from '../optim/schedule.js';
import { Random } from '../random.js';
import { resultOf } from '../resultOf.js';
import { argMax } from '../runtime/argMax.js';
import { Engine } from '../runtime/engine.js';
import type { StepperOptions } from '../runtime/stepper.js';
import type { Outcome } from './decision.js';
import { fillSlots } from '../train/fillSlots.js';
import { LabelRanking } from '../train/mapInterval.js';
import { defaultLearningRate, type Settings } from '../train/trainOptions.js';
import type { UnreadPhotos } from './unreadPhotos.js';

/** How the photos that are held out were judged. */
export type Judged = Pick<Outcome, 'correct' | 'ranking'>;

/** One short training. */
export interface ShortTraining {
  /** Slots of the photos to train on. */
  readonly photos: readonly number[];
  readonly epochs: number;
  /** Seed of the order of the photos. */
  readonly seed: number;
  /** Parameters to begin with, where they are not the pretrained ones; a head that was trained before, say. */
  readonly from: ReadonlyMap<string, Tensor>;
  /** Slots of the photos that are held out. */
  readonly heldOut: readonly number[];
}

/** What is opened: a compiled policy in its folder. */
export interface CompiledPolicy {
  readonly manifest: Manifest;
  readonly settings: Settings;
  readonly folder: string;
  /** All that is done with it ends when it fires. */
  readonly signal: AbortSignal | undefined;
  /** Has the photos that cannot be read. */
  readonly unread: UnreadPhotos;
}

/** A policy that is tried, with an engine that has photos' features. Whoever opens it closes it. */
export class OpenTrial {
  private constructor(
    private readonly policy: CompiledPolicy,
    private readonly engine: Engine,
    /** The state that it was compiled with. */
    private readonly initial: ReadonlyMap<string, Tensor>,
  ) {}

  /** Opens a policy with so many slots for photos. @throws UserError `stopped`. */
  static async open(
    policy: CompiledPolicy,
    { slots, cache }: Pick<StepperOptions, 'slots' | 'cache'>,
  ): Promise<OpenTrial> {
    const { folder, settings, signal } = policy;
    const { threads, provider } = settings;
    checkStopped(signal);
    const engine = await Engine.start(folder, { slots, threads, provider, ...(cache ? { cache } : {}) }, signal);
    try {
      return new OpenTrial(policy, engine, await engine.getState());
    } catch (thrown) {
      await engine.close();
      throw thrown;
    }
  }

  /** Puts photos into slots from `firstSlot` on; gives the slots of those that could be read. */
  async fill(photos: readonly Photo[], firstSlot: number): Promise<number[]> {
    const { manifest, settings, signal, unread } = this.policy;
    const state = await this.engine.cacheState();
    const options = {
      skipped: new SkippedPhotos(),
      total: photos.length,
      maxBad: settings.maxBad,
      signal,
      epoch: 1,
      cached: state && new Set(state.keys),
    };
    return resultOf(fillSlots(this.engine, { photos, firstSlot }, manifest, options), (event) => {
      if (event.type === 'skipped') unread.add(event);
    });
  }

  /** Gives back the memory of what fills slots. */
  releaseFrozen(): Promise<void> {
    return this.engine.releaseFrozen();
  }

  /** Takes a step, number `number`, on a batch of photos in `slots`, that changes nothing of lasting worth. */
  async step(slots: readonly number[], number: number): Promise<void> {
    const { batch } = this.policy.settings;
    await this.engine.steps({
      slots: Int32Array.from({ length: batch }, (_, index) => slots[index % slots.length] ?? -1),
      learningRates: Float32Array.of(0),
      firstStep: number,
    });
    checkStopped(this.policy.signal);
  }

  /** The logits of photos in `slots`, [slots, classes]. */
  async evaluate(slots: readonly number[]): Promise<Float32Array> {
    const { logits } = await this.engine.evaluate(Int32Array.from(slots));
    checkStopped(this.policy.signal);
    return logits;
  }

  /**
   * Trains shortly, and tells of each photo that is held out whether it is classified rightly, or how its labels are ranked; `known` are the
   * photos of the slots.
   * @throws UserError `diverged` where the loss or the logits are no numbers any more.
   */
  async train({ photos, epochs, seed, from, heldOut }: ShortTraining, known: readonly Photo[]): Promise<Judged> {
    await this.engine.setState(new Map([...this.initial, ...from]));
    const { batch, schedule, warmupEpochs } = this.policy.settings;
    const steps = Math.ceil(photos.length / batch);
    // The same share of a short training warms up as of the whole one.
    const warmup = Math.round((warmupEpochs / this.policy.settings.epochs) * epochs * steps);
    const total = epochs * steps;
    for (let epoch = 1; epoch <= epochs; epoch++) {
      const slots = new Int32Array(steps * batch).fill(-1);
      slots.set(new Random(seed).fork(`epoch ${epoch}`).shuffle([...photos]));
      const learningRates = Float32Array.from(
        { length: steps },
        (_, index) => this.learningRate * shareOfPeak(schedule, { step: (epoch - 1) * steps + index, total, warmup }),
      );
      const firstStep = (epoch - 1) * steps + 1;
      const { losses } = await this.engine.steps({ slots, learningRates, firstStep, ...this.targetsOf(slots, known) });
      checkStopped(this.policy.signal);
      if (!allFinite(losses)) throw this.diverged();
    }
    const { logits } = await this.engine.evaluate(Int32Array.from(heldOut));
    checkStopped(this.policy.signal);
    const classes = this.policy.manifest.classes.length;
    if (!allFinite(logits)) throw this.diverged();
    if (this.policy.manifest.task === 'labels') {
      const photosHeldOut = heldOut.flatMap((slot) => known[slot] ?? []);
      return { ranking: new LabelRanking(logits, targetRows(photosHeldOut, classes), classes) };
    }
    return { correct: heldOut.map((slot, row) => argMax(logits, row * classes, classes) === known[slot]?.label) };
  }

  /** What is to be learned of photos with any number of labels. */
  private targetsOf(slots: Int32Array, known: readonly Photo[]): { targets?: Float32Array } {
    const { task, classes } = this.policy.manifest;
    if (task === 'classes') return {};
    const rows = new Float32Array(slots.length * classes.length);
    slots.forEach((slot, index) => {
      const photo = known[slot];
      if (photo) rows.set(targetRows([photo], classes.length), index * classes.length);
    });
    return { targets: rows };
  }

  private diverged(): UserError {
    return new UserError(
      'diverged',
      `the loss is no longer a number in a short training of ${this.policy.settings.policy}; try a smaller learning rate than ${this.learningRate} (‹learningRate›)`,
    );
  }

  /** The peak learning rate; a range test is left to the whole training. */
  private get learningRate(): number {
    const { learningRate, optimizer, policy } = this.policy.settings;
    return learningRate === 'auto' ? defaultLearningRate(optimizer, policy) : learningRate;
  }

  /** The parameters as they are trained now. */
  async parameters(): Promise<ReadonlyMap<string, Tensor>> {
    const state = await this.engine.getState();
    return new Map(
      this.policy.manifest.parameters.flatMap(({ name }) => {
        const value = state.get(name);
        return value ? [[name, value] as const] : [];
      }),
    );
  }

  async close(): Promise<void> {
    await this.engine.close();
  }
}

function checkStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new UserError('stopped', 'stopped before a policy was chosen');
}
