import { isDeepStrictEqual } from 'node:util';
import { type Artifacts } from '../artifacts/load.js';
import type { Manifest } from '../artifacts/manifest.js';
import { tensor, type Tensor } from '../onnx/tensor.js';
import { Opened } from '../opened.js';
import { meanShares } from '../optim/loss.js';
import { argMax } from './argMax.js';
import { evaluationSize } from './evaluationSize.js';
import type { CacheOptions } from './frozenFeatures.js';
import type { DeviceWay } from './deviceSteps.js';
import { openRows } from './openRows.js';
import * as ort from './ort.js';
import type { CachedRows, PhotoRows } from './photoRows.js';
import type { Provider } from './providers.js';
import { type Row, whenAllHaveEnded } from './slots.js';
import { type Part, roundsOf } from './stepParts.js';
import { openStepperSessions, type StepperSessions } from './stepperSessions.js';
import type { StepPart } from './stepSession.js';
import { stateShapes } from './trainingMemory.js';

export interface StepperOptions {
  /** Photos whose boundary can be kept at once. */
  readonly slots: number;
  /** Threads of ONNX Runtime; 0 lets it choose. */
  readonly threads: number;
  /** Default `cpu`. */
  readonly provider?: Provider;
  /** How a device takes steps; default what goes for the provider. */
  readonly way?: DeviceWay;
  /** What sessions of the evaluation beside the first may take together, where that is limited. */
  readonly evaluationBytes?: number | undefined;
  /** Where what the frozen part computes is kept for other runs; without it, it is gone with the stepper. */
  readonly cache?: CacheOptions;
  /** μ of μ/2·‖p − p₀‖², which is added to the loss, p₀ what the state was set to last; default 0. */
  readonly proximal?: number | undefined;
}

/** Consecutive training steps, all decided beforehand. */
export interface StepPlan {
  /** The slot of every image, a batch after another; -1 fills up a batch and has no influence. */
  readonly slots: Int32Array;
  /** The class of each image, −1 for what fills up a batch; where this is left out, the one that its photo was stored with. */
  readonly labels?: Int32Array;
  readonly learningRates: Float32Array;
  /** [slots, classes], where targets are soft: probabilities in place of the labels, or 1 for each of several; one-hot where this is left out. */
  readonly targets?: Float32Array;
  /** The number of the first of these steps, 1 for the first of a training. */
  readonly firstStep: number;
  /** No step is begun later than this after the first, which always is taken. */
  readonly limitMs?: number;
}

export interface StepResult {
  /** Mean loss of each step's images. */
  readonly losses: Float32Array;
  /** Images whose class was right before the step that used them; none where images have any number of labels. */
  readonly correct: number;
  readonly images: number;
  /** Slots whose rows somebody has removed from the cache: the steps ended before the first that needs one of them. */
  readonly lost?: readonly number[];
}

export interface EvaluationResult {
  /** [images, classes], in the order of the slots; zeros for those that were not reached when it was stopped. */
  readonly logits: Float32Array;
  /** Slots whose rows somebody has removed from the cache: those of `logits` are not all there. */
  readonly lost?: readonly number[];
}

/** What belongs to the artifacts that are loaded. */
interface Loaded {
  readonly manifest: Manifest;
  readonly sessions: StepperSessions;
  /** The boundary of the images of a run in this thread, a part of a batch after another, and of the next one, which is read while that runs. */
  readonly buffers: readonly [Row[][], Row[][]];
  /** What each image of a whole batch weighs in the loss. */
  readonly batchShares: Float32Array;
}

/**
 * Runs artifacts: takes training steps on photos that are kept in slots, and evaluates them. Its runs block the thread; see {@link Engine}
 * for the worker round it.
 */
export class Stepper {
  private readonly provider: Provider;
  /** Which of the buffers is read into next. */
  private turn: 0 | 1 = 0;
  private loaded: Loaded;

  private constructor(
    artifacts: Artifacts,
    private readonly options: StepperOptions,
    sessions: StepperSessions,
    /** What is kept of photos. */
    readonly rows: PhotoRows,
    /** All that was opened for it beside the sessions. */
    private readonly opened: Opened,
  ) {
    this.provider = options.provider ?? 'cpu';
    this.loaded = loadedOf(artifacts, sessions);
    this.setState(artifacts.state);
  }

  /** @throws UserError `not-loadable` when ONNX Runtime refuses a part of the model, such as an operator that it does not know. */
  static async create(artifacts: Artifacts, options: StepperOptions): Promise<Stepper> {
    const sessions = await openStepperSessions(artifacts, sessionsOptions(options));
    const opened = new Opened();
    try {
      const rows = await openRows(artifacts, options, opened);
      return new Stepper(artifacts, options, sessions, rows, opened);
    } catch (thrown) {
      await opened.close();
      await sessions.close();
      throw thrown;
    }
  }

  /**
   * Goes on with other artifacts that have the same boundary, such as those for other classes: what is kept of photos stays.
   * @throws UserError as {@link create} does; it goes on with those that it had then.
   */
  async exchange(artifacts: Artifacts): Promise<void> {
    if (!isDeepStrictEqual(artifacts.manifest.boundary, this.manifest.boundary))
      throw new Error('the artifacts have another boundary');
    const before = this.sessions;
    const sessions = await openStepperSessions(artifacts, sessionsOptions(this.options));
    this.loaded = loadedOf(artifacts, sessions);
    this.setState(artifacts.state);
    await before.close();
  }

  /** See {@link PhotoRows.cacheState}. */
  cacheState(): CachedRows | undefined {
    return this.rows.cacheState();
  }

  /** See {@link PhotoRows.keep}. */
  keep(
    slots: Int32Array,
    labels: readonly number[],
    boundary: readonly Row[],
    keys?: readonly string[],
  ): Promise<void> {
    return this.rows.keep(slots, labels, boundary, keys);
  }

  /** See {@link PhotoRows.recall}. */
  recall(slots: Int32Array, labels: readonly number[], keys: readonly string[]): Promise<number[]> {
    return this.rows.recall(slots, labels, keys);
  }

  /** See {@link PhotoRows.releaseFrozen}. */
  releaseFrozen(): Promise<void> {
    return this.rows.releaseFrozen();
  }

  /** Takes the steps of `plan`, until `isStopped`, its time is up, or a loss that is no number (the last one returned). */
  async steps(plan: StepPlan, isStopped: () => boolean = () => false): Promise<StepResult> {
    const { steps } = this.sessions;
    const { batch, microBatch = batch } = this.manifest;
    const losses = new Float32Array(plan.learningRates.length);
    const began = performance.now();
    const { limitMs = Infinity } = plan;
    const isLate = () => performance.now() - began > limitMs;
    const parting = { batch, microBatch, atOnce: steps.partsWithin(limitMs), isInTurn: steps.isInTurn };
    const rounds = roundsOf(plan.slots, losses.length, parting);
    let ready = this.gather(rounds[0]);
    let lost: readonly number[] | undefined;
    let [correct, images, taken, isFinite] = [0, 0, 0, true];
    let step = { loss: 0, correct: 0, images: 0 };
    for (const [index, round] of rounds.entries()) {
      // The parts of a step that is not finished count for nothing: the next call begins it anew.
      if (!isFinite || (round[0]?.isFirst && (isStopped() || (taken > 0 && isLate())))) break;
      lost = await this.rows.lostBy(ready?.reading);
      if (lost) break;
      const parts = round.map((part, n) => this.partFeeds(plan, part, ready?.rows[n] ?? []));
      const results = await steps.run(parts, () => {
        ready = this.gather(rounds[index + 1]);
      });
      for (const [n, part] of parts.entries()) {
        const result = results[n];
        if (!result || !isFinite) break;
        step.loss += result.loss;
        step.images += part.labels.reduce((count, label) => count + (label < 0 ? 0 : 1), 0);
        step.correct += this.correctIn(part.labels, result.logits);
        isFinite = Number.isFinite(step.loss);
        if (isFinite && !(part.isLast && parts[n + 1]?.step !== part.step)) continue;
        losses[part.step - plan.firstStep] = step.loss;
        taken = part.step - plan.firstStep + 1;
        [correct, images] = [correct + step.correct, images + step.images];
        step = { loss: 0, correct: 0, images: 0 };
      }
    }
    // What was read ahead for a step that is not taken, nobody needs.
    await ready?.reading?.catch(() => undefined);
    return { losses: losses.subarray(0, taken), correct, images, ...(lost ? { lost } : {}) };
  }

  /** Begins to read the boundary of a round: into buffers of this thread, or new ones for parts to be handed over. */
  private gather(round: readonly Part[] | undefined) {
    if (!round) return undefined;
    const { batch, microBatch = batch } = this.manifest;
    this.turn = this.turn === 0 ? 1 : 0;
    const own = this.loaded.buffers[this.turn];
    const { isInTurn } = this.sessions.steps;
    const rows = round.map((_, n) =>
      n === 0 || isInTurn ? (own[n] ??= this.rows.buffers(microBatch)) : this.rows.buffers(microBatch),
    );
    const readings = round.flatMap(({ slots }, n) => this.rows.gather(slots, rows[n] ?? []) ?? []);
    return { rows, reading: readings.length === 0 ? undefined : whenAllHaveEnded(readings) };
  }

  /** Sets what the images of a batch weigh. */
  private weigh(plan: StepPlan, step: number): void {
    const { batch, classWeights, targets } = this.manifest;
    const labels = this.labelsOf(plan, step * batch, plan.slots.subarray(step * batch, (step + 1) * batch));
    meanShares(labels, targets === 'soft' ? undefined : classWeights, this.loaded.batchShares);
  }

  /** The classes of the images in `slots`, which are those of the plan from `first` on and what fills them up. */
  private labelsOf({ labels }: StepPlan, first: number, slots: Int32Array): Int32Array {
    return slots.map((slot, n) => (labels && slot >= 0 ? (labels[first + n] ?? -1) : this.rows.labelOf(slot)));
  }

  private partFeeds(plan: StepPlan, { step, first, slots, isFirst, isLast }: Part, rows: readonly Row[]): StepPart {
    const { batch, microBatch = batch, targets } = this.manifest;
    if (first === 0) this.weigh(plan, step);
    const labels = this.labelsOf(plan, step * batch + first, slots);
    const count = Math.min(microBatch, batch - first);
    const shares = new Float32Array(microBatch);
    shares.set(this.loaded.batchShares.subarray(first, first + count));
    return {
      rows,
      labels,
      shares,
      targets: targets === 'soft' ? this.targetsOf(plan, step * batch + first, labels, count) : new Float32Array(),
      step: plan.firstStep + step,
      learningRate: plan.learningRates[step] ?? 0,
      isFirst,
      isLast,
    };
  }

  /** The plan's targets of `count` images from `first` on, or one-hot rows; zeros for what fills the part up. */
  private targetsOf({ targets }: StepPlan, first: number, labels: Int32Array, count: number): Float32Array {
    const classes = this.manifest.classes.length;
    const rows = new Float32Array(labels.length * classes);
    if (targets) rows.set(targets.subarray(first * classes, (first + count) * classes));
    else labels.forEach((label, n) => label >= 0 && (rows[n * classes + label] = 1));
    return rows;
  }

  /** How many of a part's images were given their class. */
  private correctIn(labels: Int32Array, logits: Float32Array): number {
    const classes = this.manifest.classes.length;
    if (this.manifest.task === 'labels') return 0;
    let correct = 0;
    labels.forEach((label, n) => {
      if (label >= 0 && argMax(logits, n * classes, classes) === label) correct++;
    });
    return correct;
  }

  /** The logits of stored photos under the current parameters, or under their averages where those are kept; it ends early when `isStopped`. */
  async evaluate(slots: Int32Array, isStopped: () => boolean = () => false): Promise<EvaluationResult> {
    const classes = this.manifest.classes.length;
    const logits = new Float32Array(slots.length * classes);
    const size = evaluationSize(this.manifest, this.provider, slots.length);
    let lost: readonly number[] | undefined;
    await this.sessions.evaluation.evaluate(this.evaluated(), Math.ceil(slots.length / size), async (turn) => {
      const first = turn.index * size;
      const some = slots.subarray(first, first + size);
      const rows = turn.rows ?? this.rows.buffers(size);
      const missing = await this.rows.lostBy(this.rows.gather(some, rows));
      lost ??= missing;
      if (missing || isStopped()) return undefined;
      const images = this.provider === 'cpu' ? some.length : size;
      const results = await turn.run(rows, images);
      // Those that fill up the last run are left out.
      logits.set(results.logits.subarray(0, some.length * classes), first * classes);
      return results.rows;
    });
    return { logits, ...(lost ? { lost } : {}) };
  }

  /** What the evaluation graph takes of the state: averages in place of parameters where those are kept. */
  private evaluated(): Record<string, ort.Tensor> {
    const { parameters, statistics } = this.manifest;
    const { steps } = this.sessions;
    const names: { name: string; shape: readonly number[]; average?: string | undefined }[] = [
      ...parameters,
      ...statistics,
    ];
    return Object.fromEntries(names.map(({ name, shape, average = name }) => [name, steps.tensorOf(average, shape)]));
  }

  /** A copy of the parameters, moments and averages. */
  async getState(): Promise<Map<string, Tensor>> {
    const shapes = stateShapes(this.manifest);
    const state = await this.sessions.steps.readState();
    return new Map([...state].map(([name, values]) => [name, tensor('float32', shapes.get(name) ?? [], values)]));
  }

  /** Replaces parameters, moments and averages by those of the same names. Where parameters are held near to something, it is these. */
  setState(state: ReadonlyMap<string, Tensor>): void {
    this.sessions.steps.writeState(state);
  }

  async close(): Promise<void> {
    try {
      await this.opened.close();
    } finally {
      await this.sessions.close();
    }
  }

  private get manifest(): Manifest {
    return this.loaded.manifest;
  }

  private get sessions(): StepperSessions {
    return this.loaded.sessions;
  }
}

function loadedOf({ manifest }: Artifacts, sessions: StepperSessions): Loaded {
  return { manifest, sessions, buffers: [[], []], batchShares: new Float32Array(manifest.batch) };
}

const sessionsOptions = ({ threads, provider = 'cpu', way, evaluationBytes, proximal }: StepperOptions) => ({
  threads,
  provider,
  way,
  furtherBytes: evaluationBytes,
  proximal,
});
