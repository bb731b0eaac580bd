import { type Artifacts } from '../artifacts/load.js';
import { FILES } from '../artifacts/artifactFiles.js';
import { type Manifest, STEP_OUTPUTS } from '../artifacts/manifest.js';
import { UserError } from '../errors.js';
import type { Tensor } from '../onnx/tensor.js';
import { Opened } from '../opened.js';
import { meanShares } from '../optim/loss.js';
import { argMax } from './argMax.js';
import { probeBlockSize } from './blockSize.js';
import { boundaryTensors } from './boundaryTensors.js';
import { type CacheOptions, openFeatures } from './features.js';
import * as ort from './ort.js';
import { openPart, runPart, sessionOptions } from './partSessions.js';
import { type CachedRows, PhotoRows } from './photoRows.js';
import type { Provider } from './providers.js';
import { type Row, Slots } from './slots.js';
import { StepBindings, type StepSessions } from './stepBindings.js';
import { type Part, partsOf } from './stepParts.js';

export interface StepperOptions {
  /** Photos whose boundary can be kept at once. */
  readonly slots: number;
  /** Threads of ONNX Runtime; 0 lets it choose. */
  readonly threads: number;
  /** Default `cpu`. */
  readonly provider?: Provider;
  /** Where what the frozen part computes is kept for other runs; without it, it is gone with the stepper. */
  readonly cache?: CacheOptions;
}

/** Consecutive training steps, all decided beforehand. */
export interface StepPlan {
  /** The slot of every image, a batch after another; -1 fills up a batch and has no influence. */
  readonly slots: Int32Array;
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

/** Images a run of the evaluation graph, at most, and bytes of their boundary: a whole network on many images takes much memory. */
const EVALUATION_BATCH = 64;
const EVALUATION_BYTES = 2 ** 19;

interface Sessions extends StepSessions {
  readonly evaluation: ort.InferenceSession;
}

/**
 * Runs artifacts: takes training steps on photos that are kept in slots, and evaluates them. Its runs block the thread; see {@link Engine}
 * for the worker round it.
 */
export class Stepper {
  private readonly manifest: Manifest;
  private readonly provider: Provider;
  private readonly bindings: StepBindings;
  /** The boundary of the images of a run, and of the next one, which is read while that runs. */
  private readonly buffers: readonly [Row[], Row[]];
  /** What each image of a whole batch weighs in the loss. */
  private readonly batchShares: Float32Array;

  private constructor(
    artifacts: Artifacts,
    { provider = 'cpu' }: StepperOptions,
    private readonly sessions: Sessions,
    private readonly rows: PhotoRows,
    /** All that was opened for it. */
    private readonly opened: Opened,
  ) {
    this.manifest = artifacts.manifest;
    this.provider = provider;
    const { batch, microBatch = batch } = artifacts.manifest;
    this.batchShares = new Float32Array(batch);
    this.buffers = [rows.buffers(microBatch), rows.buffers(microBatch)];
    this.bindings = new StepBindings(artifacts.manifest, sessions, this.buffers);
    this.setState(artifacts.state);
  }

  /** @throws UserError `not-loadable` when ONNX Runtime refuses a part of the model, such as an operator that it does not know. */
  static async create(artifacts: Artifacts, options: StepperOptions): Promise<Stepper> {
    await checkProcessor(artifacts, options);
    const opened = new Opened();
    try {
      const sessions = await openSessions(artifacts, options, opened);
      const rows = await openRows(artifacts, options, opened);
      return new Stepper(artifacts, options, sessions, rows, opened);
    } catch (thrown) {
      await opened.close();
      throw thrown;
    }
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
    const { bindings, sessions } = this;
    const { batch, microBatch = batch } = this.manifest;
    const losses = new Float32Array(plan.learningRates.length);
    const began = performance.now();
    const isLate = () => performance.now() - began > (plan.limitMs ?? Infinity);
    const parts = partsOf(plan.slots, losses.length, batch, microBatch);
    let buffer: 0 | 1 = 0;
    let ready = parts[0] && this.rows.gather(parts[0].slots, this.buffers[buffer]);
    let lost: readonly number[] | undefined;
    let [correct, images] = [0, 0];
    let [correctBefore, imagesBefore] = [0, 0];
    let loss = 0;
    let runs = 0;
    let taken = 0;
    for (const [index, part] of parts.entries()) {
      if (runs === 0) {
        if (isStopped() || (taken > 0 && isLate())) break;
        [correctBefore, imagesBefore] = [correct, images];
        this.beginStep(plan, part.step);
      }
      const labels = this.fillPart(plan, part);
      lost = await this.rows.lostBy(ready);
      if (lost) {
        // The parts of a step that is not finished count for nothing: the next call begins it anew.
        [correct, images] = [correctBefore, imagesBefore];
        break;
      }
      const next = parts[index + 1];
      const current = bindings.trainingRun(buffer);
      buffer = buffer === 0 ? 1 : 0;
      ready = next && this.rows.gather(next.slots, this.buffers[buffer]);
      await runPart(FILES.training, sessions.training, current);
      runs++;
      loss += bindings.loss[0] ?? NaN;
      images += part.slots.reduce((count, slot) => count + (slot < 0 ? 0 : 1), 0);
      correct += this.correctIn(part, labels);
      if (!part.isLast) continue;
      if (sessions.update) await runPart(FILES.update, sessions.update, bindings.updateRun);
      bindings.swap();
      losses[part.step] = loss;
      taken = part.step + 1;
      if (!Number.isFinite(loss)) break;
      loss = 0;
      runs = 0;
    }
    // What was read ahead for a step that is not taken, nobody needs.
    await ready?.catch(() => undefined);
    return { losses: losses.subarray(0, taken), correct, images, ...(lost ? { lost } : {}) };
  }

  /** Sets what is the same for all parts of a step. */
  private beginStep(plan: StepPlan, step: number): void {
    const { batch, classWeights, targets } = this.manifest;
    const whole = plan.slots.subarray(step * batch, (step + 1) * batch);
    const labels = whole.map((slot) => this.rows.labelOf(slot));
    meanShares(labels, targets === 'soft' ? undefined : classWeights, this.batchShares);
    this.bindings.rate[0] = plan.learningRates[step] ?? 0;
    this.bindings.step[0] = plan.firstStep + step;
    if (this.sessions.update) this.bindings.clearGradients();
  }

  /** Sets what a part's run takes beside the boundary, and gives the labels of its images. */
  private fillPart(plan: StepPlan, { step, first, slots }: Part): Int32Array {
    const { bindings } = this;
    const { batch, microBatch = batch, targets } = this.manifest;
    const labels = slots.map((slot) => this.rows.labelOf(slot));
    bindings.shares.fill(0);
    bindings.shares.set(this.batchShares.subarray(first, first + microBatch));
    labels.forEach((label, n) => (bindings.labels[n] = BigInt(Math.max(0, label))));
    if (targets === 'soft')
      this.fillTargets(plan.targets, step * batch + first, labels.subarray(0, Math.min(microBatch, batch - first)));
    return labels;
  }

  /** Rows of `targets` from `first` on for as many images as there are `labels`; without `targets`, one-hot rows. */
  private fillTargets(targets: Float32Array | undefined, first: number, labels: Int32Array): void {
    const into = this.bindings.targets;
    const classes = this.manifest.classes.length;
    into.fill(0);
    if (targets) into.set(targets.subarray(first * classes, (first + labels.length) * classes));
    else labels.forEach((label, n) => label >= 0 && (into[n * classes + label] = 1));
  }

  /** How many of a part's images the last run gave their class. */
  private correctIn({ slots }: Part, labels: Int32Array): number {
    const classes = this.manifest.classes.length;
    if (this.manifest.task === 'labels') return 0;
    let correct = 0;
    slots.forEach((slot, n) => {
      if (slot >= 0 && argMax(this.bindings.logits, n * classes, classes) === labels[n]) correct++;
    });
    return correct;
  }

  /** The logits of stored photos under the current parameters, or under their averages where those are kept; it ends early when `isStopped`. */
  async evaluate(slots: Int32Array, isStopped: () => boolean = () => false): Promise<EvaluationResult> {
    const classes = this.manifest.classes.length;
    const logits = new Float32Array(slots.length * classes);
    const feeds = this.bindings.evaluated();
    const size = this.evaluationSize(slots.length);
    const batches: Int32Array[] = [];
    for (let first = 0; first < slots.length; first += size) batches.push(slots.subarray(first, first + size));
    const buffers = [this.rows.buffers(size), this.rows.buffers(size)];
    const gather = (index: number) => {
      const [some, into] = [batches[index], buffers[index % 2]];
      return some && into && this.rows.gather(some, into);
    };
    let ready = gather(0);
    for (const [index, { length }] of batches.entries()) {
      const lost = await this.rows.lostBy(ready);
      if (lost) return { logits, lost };
      if (isStopped()) break;
      ready = gather(index + 1);
      const images = this.provider === 'cpu' ? length : size;
      Object.assign(feeds, boundaryTensors(this.rows.values, buffers[index % 2] ?? [], images));
      const results = new Float32Array(images * classes);
      const fetches = { [STEP_OUTPUTS.logits]: new ort.Tensor('float32', results, [images, classes]) };
      await runPart(FILES.evaluation, this.sessions.evaluation, { feeds, fetches });
      // Those that fill up the last run are left out.
      logits.set(results.subarray(0, length * classes), index * size * classes);
    }
    return { logits };
  }

  /** Images of one run of the evaluation graph, where there are so many in all. */
  private evaluationSize(images: number): number {
    const { batch, microBatch = batch, cost } = this.manifest;
    // Another provider gets all parameters anew in each run, and CUDA's tries its algorithms for each number of images (a second
    // for EfficientNet-B0 on an H100): it takes as many as in training, which fit into its memory, and always as many.
    const fitting =
      this.provider === 'cpu' ? Math.floor(EVALUATION_BYTES / cost.boundaryBytes) : Math.min(microBatch, images);
    // Where a batch is taken in parts, memory is short.
    const most = this.sessions.update ? Math.min(EVALUATION_BATCH, microBatch) : EVALUATION_BATCH;
    return Math.max(1, Math.min(most, fitting));
  }

  /** A copy of the parameters, moments and averages. */
  getState(): Map<string, Tensor> {
    return this.bindings.getState();
  }

  /** Replaces parameters, moments and averages by those of the same names. */
  setState(state: ReadonlyMap<string, Tensor>): void {
    this.bindings.setState(state);
  }

  close(): Promise<void> {
    return this.opened.close();
  }
}

/** @throws UserError `bad-artifacts` where they are laid out for another processor. */
async function checkProcessor({ manifest, folder }: Artifacts, { provider = 'cpu' }: StepperOptions): Promise<void> {
  const { blockSize } = manifest;
  if (blockSize !== undefined && provider === 'cpu' && (await probeBlockSize()) !== blockSize)
    throw new UserError(
      'bad-artifacts',
      `the artifacts in ${folder} are laid out for another processor; compile them again on this one`,
    );
}

async function openSessions(
  { folder, manifest }: Artifacts,
  { threads, provider = 'cpu' }: StepperOptions,
  opened: Opened,
): Promise<Sessions> {
  const open = async (file: string) =>
    opened.add(await openPart(folder, file, sessionOptions(threads, provider)), (session) => session.release());
  return {
    training: await open(FILES.training),
    update: manifest.files[FILES.update] === undefined ? undefined : await open(FILES.update),
    evaluation: await open(FILES.evaluation),
  };
}

async function openRows(
  artifacts: Artifacts,
  { slots, threads, provider = 'cpu', cache }: StepperOptions,
  opened: Opened,
): Promise<PhotoRows> {
  const session = sessionOptions(threads, provider);
  const features = cache && (await openFeatures(artifacts, cache, provider, session));
  if (features)
    opened.add(features, async ({ store, donor }) => {
      await donor?.close();
      await store.close();
    });
  return new PhotoRows(new Slots(artifacts.manifest.boundary, slots, features?.store, cache?.inMemoryBytes), features);
}
