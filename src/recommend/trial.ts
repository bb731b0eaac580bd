import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../artifacts/manifest.js';
import type { Photo } from '../data/photo.js';
import { decoderVersion } from '../data/decode.js';
import { SkippedPhotos } from '../data/skippedPhotos.js';
import { UserError } from '../errors.js';
import { allFinite } from '../finite.js';
import type { Tensor } from '../onnx/tensor.js';
import { shareOfPeak } from '../optim/schedule.js';
import { policyFileName } from '../policy/policy.js';
import { Random } from '../random.js';
import { Engine } from '../runtime/engine.js';
import { argMax } from '../runtime/argMax.js';
import { fillSlots } from '../train/fillSlots.js';
import { defaultLearningRate, type Settings, settingsOf, type TrainOptions } from '../train/options.js';
import { startCompiling } from '../train/compiler.js';
import { planningOf } from '../train/compileWithin.js';

/** Photos that warm up the frozen part and the sessions, and photos on which they are timed. */
const WARM_UP_PHOTOS = 16;
const TIMED_PHOTOS = 32;
/** Steps are timed until there were so many of them, and they took so long together; the fastest counts, since others may use the machine. */
const TIMED_STEPS = 3;
const TIMED_MS = 100;

/** What a policy's training consists of, each in milliseconds. */
export interface UnitCosts {
  /** Compiling, and opening the sessions. */
  readonly setUpMs: number;
  /** For each photo, once: reading it and running the frozen part. */
  readonly featuresMs: number;
  /** For each photo and epoch. */
  readonly stepMs: number;
  /** For each photo that validates, after each epoch. */
  readonly evaluationMs: number;
}

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

/** A policy that is tried: its artifacts, in a folder of their own, and an engine that has the photos' features. */
export class Trial {
  private engine: Engine | undefined;
  private initial: ReadonlyMap<string, Tensor> = new Map();

  private constructor(
    readonly manifest: Manifest,
    readonly settings: Settings,
    private readonly folder: string,
    private readonly compileMs: number,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /**
   * Compiles the policy into `root`. It is to be closed, whatever becomes of it.
   * @throws UserError `bad-policy`, `too-little-memory` where it does not fit, `stopped` when the options' signal fires, as all that is
   * done with it does.
   */
  static async compile(options: TrainOptions, root: string): Promise<Trial> {
    const began = performance.now();
    const { model, policy, signal } = options;
    const compiling = await startCompiling(model, planningOf(options, settingsOf(options)), signal);
    try {
      const folder = join(root, policyFileName(policy));
      const manifest = await compiling.write(folder);
      return new Trial(manifest, compiling.settings, folder, performance.now() - began, signal);
    } finally {
      compiling.close();
    }
  }

  /** Times each part of the policy's training on a few of the `photos`. */
  async measure(photos: readonly Photo[]): Promise<UnitCosts> {
    const began = performance.now();
    const few = photos.slice(0, WARM_UP_PHOTOS + TIMED_PHOTOS);
    await this.open(few.length);
    const setUpMs = this.compileMs + performance.now() - began;
    const engine = this.running;
    const timed = async (work: () => Promise<unknown>) => {
      const start = performance.now();
      await work();
      this.checkStopped();
      return performance.now() - start;
    };
    const warm = await this.fill(few.slice(0, WARM_UP_PHOTOS), 0);
    const rest = few.slice(WARM_UP_PHOTOS);
    let slots = warm;
    const fillMs = await timed(async () => {
      slots = [...warm, ...(await this.fill(rest, WARM_UP_PHOTOS))];
    });
    const { batch } = this.settings;
    const plan = (firstStep: number) => ({
      slots: Int32Array.from({ length: batch }, (_, index) => slots[index % slots.length] ?? -1),
      // The parameters go with the engine.
      learningRates: Float32Array.of(0),
      firstStep,
    });
    await engine.steps(plan(1));
    const stepsMs: number[] = [];
    while (stepsMs.length < TIMED_STEPS || stepsMs.reduce((sum, ms) => sum + ms, 0) < TIMED_MS)
      stepsMs.push(await timed(() => engine.steps(plan(stepsMs.length + 2))));
    await engine.evaluate(Int32Array.from(warm));
    const evaluationMs = await timed(() => engine.evaluate(Int32Array.from(slots)));
    await this.close();
    return {
      setUpMs,
      featuresMs: fillMs / Math.max(1, rest.length),
      stepMs: Math.min(...stepsMs) / batch,
      evaluationMs: evaluationMs / Math.max(1, slots.length),
    };
  }

  /**
   * Opens the policy on `photos`, each in the slot of its place; features are taken from `cache`, and put there. Gives the slots of
   * those that could be read.
   */
  async load(photos: readonly Photo[], cache: string): Promise<number[]> {
    await this.open(photos.length, cache);
    const slots = await this.fill(photos, 0);
    await this.running.releaseFrozen();
    return slots;
  }

  /**
   * Trains shortly, and tells of each photo that is held out whether it is classified rightly.
   * @throws UserError `diverged` where the loss or the logits are no numbers any more.
   */
  async train({ photos, epochs, seed, from, heldOut }: ShortTraining, labels: readonly number[]): Promise<boolean[]> {
    const engine = this.running;
    await engine.setState(new Map([...this.initial, ...from]));
    const { batch, schedule, warmupEpochs } = this.settings;
    const steps = Math.ceil(photos.length / batch);
    // The same share of a short training warms up as of the whole one.
    const warmup = Math.round((warmupEpochs / this.settings.epochs) * epochs * steps);
    const total = epochs * steps;
    for (let epoch = 1; epoch <= epochs; epoch++) {
      const slots = new Int32Array(steps * batch).fill(-1);
      slots.set(new Random(seed).fork(`epoch ${epoch}`).shuffle([...photos]));
      const learningRates = Float32Array.from(
        { length: steps },
        (_, index) => this.learningRate * shareOfPeak(schedule, { step: (epoch - 1) * steps + index, total, warmup }),
      );
      const { losses } = await engine.steps({ slots, learningRates, firstStep: (epoch - 1) * steps + 1 });
      this.checkStopped();
      if (!allFinite(losses)) throw this.diverged();
    }
    const { logits } = await engine.evaluate(Int32Array.from(heldOut));
    this.checkStopped();
    const classes = this.manifest.classes.length;
    if (!allFinite(logits)) throw this.diverged();
    return heldOut.map((slot, row) => argMax(logits, row * classes, classes) === labels[slot]);
  }

  private diverged(): UserError {
    return new UserError(
      'diverged',
      `the loss is no longer a number in a short training of ${this.settings.policy}; try a smaller learning rate than ${this.learningRate} (--lr)`,
    );
  }

  /** The peak learning rate; a range test is left to the whole training. */
  get learningRate(): number {
    const { learningRate, optimizer, policy } = this.settings;
    return learningRate === 'auto' ? defaultLearningRate(optimizer, policy) : learningRate;
  }

  /** The parameters as they are trained now. */
  async parameters(): Promise<ReadonlyMap<string, Tensor>> {
    const state = await this.running.getState();
    return new Map(
      this.manifest.parameters.flatMap(({ name }) => {
        const value = state.get(name);
        return value ? [[name, value] as const] : [];
      }),
    );
  }

  async close(): Promise<void> {
    await this.engine?.close();
    this.engine = undefined;
  }

  /** Closes, and removes the artifacts. */
  async remove(): Promise<void> {
    await this.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  private checkStopped(): void {
    if (this.signal?.aborted) throw new UserError('stopped', 'stopped before a policy was chosen');
  }

  private get running(): Engine {
    if (!this.engine) throw new Error('the trial is not open');
    return this.engine;
  }

  private async open(slots: number, cache?: string): Promise<void> {
    const { threads, provider } = this.settings;
    this.checkStopped();
    this.engine = await Engine.start(
      this.folder,
      {
        slots,
        threads,
        provider,
        ...(cache === undefined ? {} : { cache: { folder: cache, decoder: decoderVersion } }),
      },
      this.signal,
    );
    this.initial = await this.engine.getState();
  }

  private async fill(photos: readonly Photo[], firstSlot: number): Promise<number[]> {
    const { running: engine, signal } = this;
    const state = await engine.cacheState();
    const events = fillSlots(engine, { photos, firstSlot }, this.manifest, {
      skipped: new SkippedPhotos(),
      total: photos.length,
      maxBad: this.settings.maxBad,
      signal,
      epoch: 1,
      cached: state && new Set(state.keys),
    });
    while (true) {
      const next = await events.next();
      if (next.done) return next.value;
    }
  }
}
