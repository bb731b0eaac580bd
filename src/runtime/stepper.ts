import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ort from './ort.js';
import { type Artifacts } from '../artifacts/load.js';
import { FILES } from '../artifacts/compile.js';
import { UserError } from '../errors.js';
import { type Manifest, NEXT, PIXELS, stateNames, STEP_INPUTS, STEP_OUTPUTS } from '../artifacts/manifest.js';
import type { FeatureStore } from '../cache/featureStore.js';
import { machineErrorOf } from '../machineError.js';
import { decodeModel } from '../onnx/model.js';
import { elementCount, tensor, type Tensor } from '../onnx/tensor.js';
import { meanShares } from '../optim/loss.js';
import { probeBlockSize } from './blockSize.js';
import { type CacheOptions, type Donor, openFeatures } from './features.js';
import { frozenBatch } from './frozenBatch.js';
import type { Provider } from './providers.js';
import { type Run, runInto } from './runInto.js';
import { type BoundaryDType, bytesOf, type Row, Slots } from './slots.js';

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

/** What a cache has for a run. */
export interface CacheState {
  /** Where the rows lie. */
  readonly folder: string;
  readonly rowBytes: number;
  /** The cache's keys of photos that need not be decoded. */
  readonly keys: readonly string[];
  /** How many of those have a row; the others have one of another policy, from which the rest is computed. */
  readonly rows: number;
}

/** Consecutive training steps, all decided beforehand. */
export interface StepPlan {
  /** The slot of every image, a batch after another; -1 fills up a batch and has no influence. */
  readonly slots: Int32Array;
  readonly learningRates: Float32Array;
  /** [slots, classes], where targets are soft: probabilities in place of the labels, one-hot where this is left out. */
  readonly targets?: Float32Array;
  /** The number of the first of these steps, 1 for the first of a training. */
  readonly firstStep: number;
  /** No step is begun later than this after the first, which always is taken. */
  readonly limitMs?: number;
}

export interface StepResult {
  /** Mean loss of each step's images. */
  readonly losses: Float32Array;
  /** Images whose class was right before the step that used them. */
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

type TensorSet = ReadonlyMap<string, ort.Tensor>;

function dimsOf({ name, ...metadata }: ort.InferenceSession.ValueMetadata): [string, number[]] {
  const shape = metadata.isTensor ? metadata.shape : [];
  return [name, shape.filter((dim) => typeof dim === 'number')];
}

/** Images a run of the evaluation graph, at most, and bytes of their boundary: a whole network on many images takes much memory. */
const EVALUATION_BATCH = 64;
const EVALUATION_BYTES = 2 ** 19;

/**
 * Runs artifacts: keeps the boundary of photos in slots, and parameters and moments in two sets of tensors that swap roles
 * at every step, or in one where a batch takes several runs, so that a step allocates nothing. Its runs block the thread; see {@link Engine} for the worker round it.
 */
export class Stepper {
  private readonly manifest: Manifest;
  /** Open while it is needed. */
  private frozen: ort.InferenceSession | undefined;
  /** Images of one of its runs, once that is known. */
  private frozenBatch: number | undefined;
  private readonly photos: Slots;
  private readonly labels: Int32Array;
  /** The boundary of the images of a run, and of the next one, which is read while that runs. */
  private readonly batchRows: readonly [Row[], Row[]];
  private readonly labelData: BigInt64Array;
  private readonly targetData: Float32Array;
  private readonly shareData: Float32Array;
  /** What each image of a whole batch weighs in the loss. */
  private readonly batchShares: Float32Array;
  private readonly rateData = new Float32Array(1);
  private readonly stepData = new Float32Array(1);
  private readonly lossData = new Float32Array(1);
  private readonly logitData: Float32Array;
  private readonly state: readonly [TensorSet, TensorSet];
  /** Where a batch's gradients add up; empty when one run takes the whole batch. */
  private readonly gradients: TensorSet;
  /** Runs of the training graph by the buffers of the boundary, and of both graphs by current state. */
  private readonly trainingRuns: readonly (readonly Run[])[];
  private readonly updateRuns: readonly Run[];
  /** Which set holds the current state. */
  private current: 0 | 1 = 0;

  private constructor(
    artifacts: Artifacts,
    private readonly options: StepperOptions,
    /** Opens the frozen part; absent when there is none. */
    private readonly openFrozen: (() => Promise<ort.InferenceSession>) | undefined,
    private readonly training: ort.InferenceSession,
    private readonly update: ort.InferenceSession | undefined,
    private readonly evaluation: ort.InferenceSession,
    private readonly features: FeatureStore | undefined,
    private readonly donor: Donor | undefined,
  ) {
    this.manifest = artifacts.manifest;
    const { batch, microBatch = batch, boundary, classes, parameters, statistics, targets } = artifacts.manifest;
    this.photos = new Slots(boundary, options.slots, features, options.cache?.inMemoryBytes);
    this.labels = new Int32Array(options.slots);
    this.batchRows = [this.photos.buffers(microBatch), this.photos.buffers(microBatch)];
    this.labelData = new BigInt64Array(microBatch);
    this.targetData = new Float32Array(targets === 'soft' ? microBatch * classes.length : 0);
    this.shareData = new Float32Array(microBatch);
    this.batchShares = new Float32Array(batch);
    this.logitData = new Float32Array(microBatch * classes.length);

    const shapes = new Map([
      ...statistics.map(({ name, shape }) => [name, shape] as const),
      ...parameters.flatMap(({ name, shape, moments, average, gradient }) =>
        [name, ...moments, average, gradient].flatMap((each) => (each === undefined ? [] : [[each, shape] as const])),
      ),
    ]);
    const newSet = (names: readonly string[]): TensorSet =>
      new Map(
        names.map((name) => {
          const shape = shapes.get(name) ?? [];
          return [name, new ort.Tensor('float32', new Float32Array(elementCount(shape)), shape)];
        }),
      );
    const stateful = stateNames(artifacts.manifest);
    const state = newSet(stateful);
    // A graph that only updates has read each value when it writes the next one; the backward pass still needs the parameters.
    this.state = [state, update ? state : newSet(stateful)];
    this.gradients = newSet(parameters.flatMap(({ gradient }) => gradient ?? []));

    const targetsOfImages: Record<string, ort.Tensor> = {
      [STEP_INPUTS.shares]: new ort.Tensor('float32', this.shareData, [microBatch]),
      ...(targets === 'soft'
        ? { [STEP_INPUTS.targets]: new ort.Tensor('float32', this.targetData, [microBatch, classes.length]) }
        : { [STEP_INPUTS.labels]: new ort.Tensor('int64', this.labelData, [microBatch]) }),
    };
    const images = this.batchRows.map((buffers) => ({ ...targetsOfImages, ...this.boundaryOf(buffers, microBatch) }));
    const schedule = {
      [STEP_INPUTS.learningRate]: new ort.Tensor('float32', this.rateData, []),
      [STEP_INPUTS.step]: new ort.Tensor('float32', this.stepData, []),
    };
    const results = {
      [STEP_OUTPUTS.loss]: new ort.Tensor('float32', this.lossData, []),
      [STEP_OUTPUTS.logits]: new ort.Tensor('float32', this.logitData, [microBatch, classes.length]),
    };
    // Results may be vectors, whatever the shape.
    const dims = new Map([training, update].flatMap((session) => session?.outputMetadata ?? []).map(dimsOf));
    const next = (set: TensorSet) =>
      Object.fromEntries(
        [...set].map(([name, { data, dims: own }]) => [
          name + NEXT,
          new ort.Tensor('float32', data as Float32Array, dims.get(name + NEXT) ?? own),
        ]),
      );
    const parameterNames = new Set(parameters.map(({ name }) => name));
    const [first, second] = this.state;
    const states = [
      { now: first, after: second },
      { now: second, after: first },
    ];
    const gradients = Object.fromEntries(this.gradients);
    this.trainingRuns = images.map((some) =>
      states.map(({ now, after }) => {
        if (!update)
          return {
            feeds: { ...some, ...schedule, ...Object.fromEntries(now) },
            fetches: { ...results, ...next(after) },
          };
        const current = Object.fromEntries([...now].filter(([name]) => parameterNames.has(name)));
        return { feeds: { ...some, ...current, ...gradients }, fetches: { ...results, ...next(this.gradients) } };
      }),
    );
    this.updateRuns = states.map(({ now, after }) => ({
      feeds: { ...schedule, ...Object.fromEntries(now), ...gradients },
      fetches: next(after),
    }));
    this.setState(artifacts.state);
  }

  /** @throws UserError `not-loadable` when ONNX Runtime refuses a part of the model, such as an operator that it does not know. */
  static async create(artifacts: Artifacts, options: StepperOptions): Promise<Stepper> {
    const { blockSize } = artifacts.manifest;
    if (blockSize !== undefined && (options.provider ?? 'cpu') === 'cpu' && (await probeBlockSize()) !== blockSize)
      throw new UserError(
        'bad-artifacts',
        `the artifacts in ${artifacts.folder} are laid out for another processor; compile them again on this one`,
      );
    const session = sessionOptions(options);
    const opened: ort.InferenceSession[] = [];
    const open = async (name: string) => {
      const path = join(artifacts.folder, name);
      const bytes = readFileSync(path);
      try {
        const loaded = await ort.openSession(bytes, withoutIndices(session, bytes, path));
        opened.push(loaded);
        return loaded;
      } catch (thrown) {
        if (thrown instanceof UserError) throw thrown;
        throw refusal('not-loadable', `cannot load ${path}`, thrown);
      }
    };
    const holds = (name: string) => artifacts.manifest.files[name] !== undefined;
    const file = [FILES.quantized, FILES.frozen].find(holds);
    const frozen = file === undefined ? undefined : () => open(file);
    try {
      const training = await open(FILES.training);
      const update = holds(FILES.update) ? await open(FILES.update) : undefined;
      const evaluation = await open(FILES.evaluation);
      const { store, donor } = options.cache
        ? await openFeatures(artifacts, options.cache, options.provider ?? 'cpu', session)
        : {};
      return new Stepper(artifacts, options, frozen, training, update, evaluation, store, donor);
    } catch (thrown) {
      for (const each of opened) await each.release();
      throw thrown;
    }
  }

  /** What the cache has; undefined where there is none. */
  cacheState(): CacheState | undefined {
    if (!this.features) return undefined;
    const { folder, rowBytes, keys } = this.features;
    return { folder, rowBytes, keys: [...new Set([...keys, ...(this.donor?.store.keys ?? [])])], rows: keys.length };
  }

  /**
   * Runs the frozen part on `pixels`, uint8 [count, H, W, 3], and keeps the results and labels in `slots`; where there are `keys`,
   * also in the cache.
   */
  async store(
    slots: Int32Array,
    labels: readonly number[],
    pixels: Uint8Array,
    keys?: readonly string[],
  ): Promise<void> {
    const count = slots.length;
    const buffers = this.photos.buffers(count);
    const own = this.photos.values.findIndex(({ name }) => name === PIXELS);
    buffers[own]?.set(pixels);
    if (this.openFrozen) await this.runFrozen(pixels, buffers, count);
    await this.keep(slots, labels, buffers, keys);
  }

  /** Fills `buffers` with what the frozen part makes of `count` images. */
  private async runFrozen(pixels: Uint8Array, buffers: readonly Row[], count: number): Promise<void> {
    const { height, width } = this.manifest.preprocessing;
    const imageBytes = height * width * 3;
    // Where the cache has every photo, the frozen part is never opened.
    const frozen = (this.frozen ??= await this.openFrozen?.());
    if (!frozen) return;
    const runOn = async (first: number, size: number) => {
      const some = buffers.map((buffer) => buffer.subarray((first * buffer.length) / count));
      const fetches = this.boundaryOf(some, size);
      // The pixels may be a part of the boundary, and need no run.
      Reflect.deleteProperty(fetches, PIXELS);
      const images = pixels.subarray(first * imageBytes, (first + size) * imageBytes);
      const feeds = { [PIXELS]: new ort.Tensor('uint8', images, [size, height, width, 3]) };
      await run(FILES.frozen, frozen, { feeds, fetches });
    };
    const { threads, provider = 'cpu' } = this.options;
    // Another provider has cores enough for all of them.
    this.frozenBatch ??=
      provider === 'cpu'
        ? await frozenBatch({
            run: (size) => runOn(0, size),
            count,
            folder: this.features?.folder,
            key: `${threads} threads`,
            threads,
          })
        : count;
    for (let first = 0; first < count; first += this.frozenBatch)
      await runOn(first, Math.min(this.frozenBatch, count - first));
  }

  /**
   * Fills `slots` from the cache, by the photos' keys. Gives the places in `slots` of those that it does not hold whole.
   * @throws UserError `cache-full` where a row of another policy is to become one of this.
   */
  async recall(slots: Int32Array, labels: readonly number[], keys: readonly string[]): Promise<number[]> {
    const { features, donor } = this;
    const missing: number[] = [];
    const one = this.photos.buffers(1);
    const whole = this.photos.rowOf(one, 0).map(bytesOf);
    for (const [index, key] of keys.entries()) {
      const place = features?.find(key);
      if (!place || !(await features?.readChecked(place, whole))) {
        missing.push(index);
        continue;
      }
      const slot = slots[index] ?? 0;
      this.labels[slot] = labels[index] ?? 0;
      this.photos.put(slot, one, 0, place);
    }
    if (!donor) return missing;
    const given = missing.filter((index) => donor.store.find(keys[index] ?? ''));
    const taken = await donor.read(given.map((index) => keys[index] ?? ''));
    const wanted = given.filter((_, n) => taken.isWhole[n]);
    if (wanted.length > 0) {
      const buffers = this.photos.buffers(wanted.length);
      await donor.run(taken, this.boundaryOf(buffers, wanted.length));
      await this.keep(
        Int32Array.from(wanted, (index) => slots[index] ?? 0),
        wanted.map((index) => labels[index] ?? 0),
        buffers,
        wanted.map((index) => keys[index] ?? ''),
      );
    }
    return missing.filter((index) => !wanted.includes(index));
  }

  private async keep(
    slots: Int32Array,
    labels: readonly number[],
    buffers: readonly Row[],
    keys: readonly string[] | undefined,
  ): Promise<void> {
    for (const [n, slot] of slots.entries()) {
      const key = keys?.[n];
      const before = this.photos.keyOf(slot);
      if (before !== undefined && before !== key)
        throw new UserError(
          'bad-cache',
          'the features of a photo were removed from the cache while they were in use, and the photo has changed since; begin anew (--overwrite)',
        );
      const row = this.photos.rowOf(buffers, n).map(bytesOf);
      this.labels[slot] = labels[n] ?? 0;
      this.photos.put(slot, buffers, n, key === undefined ? undefined : await this.features?.append(key, row));
    }
  }

  /** Tensors over `buffers`, which hold the boundary of `count` images. */
  private boundaryOf(buffers: readonly Row[], count: number): Record<string, ort.Tensor> {
    return Object.fromEntries(
      this.photos.values.map(({ name, dtype, shape }, index) => [
        name,
        asTensor(dtype, buffers[index]?.subarray(0, count * elementCount(shape)), [count, ...shape]),
      ]),
    );
  }

  /** Gives back the frozen part's memory: every photo's boundary is stored. */
  async releaseFrozen(): Promise<void> {
    await this.frozen?.release();
    this.frozen = undefined;
    await this.donor?.close();
  }

  /** Takes the steps of `plan`, until `isStopped`, its time is up, or a loss that is no number (the last one returned). */
  async steps(plan: StepPlan, isStopped: () => boolean = () => false): Promise<StepResult> {
    const { batch, microBatch = batch, classes, classWeights, targets } = this.manifest;
    const losses = new Float32Array(plan.learningRates.length);
    const began = performance.now();
    const isLate = () => performance.now() - began > (plan.limitMs ?? Infinity);
    const parts = partsOf(plan.slots, losses.length, batch, microBatch);
    let buffer: 0 | 1 = 0;
    let ready = parts[0] && this.gather(parts[0], buffer);
    let lost: readonly number[] | undefined;
    let [correct, images] = [0, 0];
    let [correctBefore, imagesBefore] = [0, 0];
    let loss = 0;
    let runs = 0;
    let taken = 0;
    for (const [index, { step, first, slots, isLast }] of parts.entries()) {
      if (runs === 0) {
        if (isStopped() || (taken > 0 && isLate())) break;
        [correctBefore, imagesBefore] = [correct, images];
        const whole = plan.slots.subarray(step * batch, (step + 1) * batch);
        const labels = whole.map((slot) => this.labelOf(slot));
        meanShares(labels, targets === 'soft' ? undefined : classWeights, this.batchShares);
        this.rateData[0] = plan.learningRates[step] ?? 0;
        this.stepData[0] = plan.firstStep + step;
        if (this.update) for (const value of this.gradients.values()) (value.data as Float32Array).fill(0);
      }
      const labels = slots.map((slot) => this.labelOf(slot));
      this.shareData.fill(0);
      this.shareData.set(this.batchShares.subarray(first, first + microBatch));
      labels.forEach((label, n) => (this.labelData[n] = BigInt(Math.max(0, label))));
      if (targets === 'soft')
        this.gatherTargets(plan.targets, step * batch + first, labels.subarray(0, Math.min(microBatch, batch - first)));
      lost = await this.lostBy(ready);
      if (lost) {
        // The parts of a step that is not finished count for nothing: the next call begins it anew.
        [correct, images] = [correctBefore, imagesBefore];
        break;
      }
      const next = parts[index + 1];
      const current = this.trainingRuns[buffer]?.[this.current];
      buffer = buffer === 0 ? 1 : 0;
      ready = next && this.gather(next, buffer);
      await run(FILES.training, this.training, current);
      runs++;
      loss += this.lossData[0] ?? NaN;
      slots.forEach((slot, n) => {
        if (slot < 0) return;
        images++;
        if (argMax(this.logitData, n * classes.length, classes.length) === labels[n]) correct++;
      });
      if (!isLast) continue;
      if (this.update) await run(FILES.update, this.update, this.updateRuns[this.current]);
      this.current = this.current === 0 ? 1 : 0;
      losses[step] = loss;
      taken = step + 1;
      if (!Number.isFinite(loss)) break;
      loss = 0;
      runs = 0;
    }
    // What was read ahead for a step that is not taken, nobody needs.
    await ready?.catch(() => undefined);
    return { losses: losses.subarray(0, taken), correct, images, ...(lost ? { lost } : {}) };
  }

  /** Waits for rows to be read. Where that fails since they were removed, gives all slots that have none any more. */
  private async lostBy(reading: Promise<unknown> | undefined): Promise<readonly number[] | undefined> {
    try {
      await reading;
      return undefined;
    } catch (thrown) {
      const lost = await this.photos.lost();
      if (lost.length === 0) throw thrown;
      return lost;
    }
  }

  /** −1 for what fills up a batch. */
  private labelOf(slot: number): number {
    return slot < 0 ? -1 : (this.labels[slot] ?? 0);
  }

  /** Begins to read the boundary of `part` into one of the two buffers. */
  private gather({ slots }: Part, buffer: 0 | 1): Promise<unknown> | undefined {
    return handled(this.photos.gather(slots, this.batchRows[buffer]));
  }

  /** Rows of `targets` from `first` on for as many images as there are `labels`; without `targets`, one-hot rows. */
  private gatherTargets(targets: Float32Array | undefined, first: number, labels: Int32Array): void {
    const classes = this.manifest.classes.length;
    this.targetData.fill(0);
    if (targets) this.targetData.set(targets.subarray(first * classes, (first + labels.length) * classes));
    else labels.forEach((label, n) => label >= 0 && (this.targetData[n * classes + label] = 1));
  }

  /** The logits of stored photos under the current parameters, or under their averages where those are kept; it ends early when `isStopped`. */
  async evaluate(slots: Int32Array, isStopped: () => boolean = () => false): Promise<EvaluationResult> {
    const { classes, parameters, statistics } = this.manifest;
    const logits = new Float32Array(slots.length * classes.length);
    const set = this.state[this.current];
    const feeds: Record<string, ort.Tensor> = {};
    for (const { name, average } of [...parameters, ...statistics.map(({ name }) => ({ name, average: undefined }))]) {
      const value = set.get(average ?? name);
      if (value) feeds[name] = value;
    }
    const batches: Int32Array[] = [];
    const { batch, microBatch = batch, cost } = this.manifest;
    // Another provider gets all parameters anew in each run, and CUDA's tries its algorithms for each number of images (a second
    // for EfficientNet-B0 on an H100): it takes as many as in training, which fit into its memory, and always as many.
    const isCpu = (this.options.provider ?? 'cpu') === 'cpu';
    const fitting = isCpu ? Math.floor(EVALUATION_BYTES / cost.boundaryBytes) : Math.min(microBatch, slots.length);
    // Where a batch is taken in parts, memory is short.
    const most = this.update ? Math.min(EVALUATION_BATCH, microBatch) : EVALUATION_BATCH;
    const size = Math.max(1, Math.min(most, fitting));
    for (let first = 0; first < slots.length; first += size) batches.push(slots.subarray(first, first + size));
    const buffers = [this.photos.buffers(size), this.photos.buffers(size)];
    const gather = (index: number) => {
      const [some, into] = [batches[index], buffers[index % 2]];
      return some && into && handled(this.photos.gather(some, into));
    };
    let ready = gather(0);
    for (const [index, { length }] of batches.entries()) {
      const lost = await this.lostBy(ready);
      if (lost) return { logits, lost };
      if (isStopped()) break;
      ready = gather(index + 1);
      const images = isCpu ? length : size;
      Object.assign(feeds, this.boundaryOf(buffers[index % 2] ?? [], images));
      const results = new Float32Array(images * classes.length);
      const fetches = { [STEP_OUTPUTS.logits]: new ort.Tensor('float32', results, [images, classes.length]) };
      await run(FILES.evaluation, this.evaluation, { feeds, fetches });
      // Those that fill up the last run are left out.
      logits.set(results.subarray(0, length * classes.length), index * size * classes.length);
    }
    return { logits };
  }

  /** A copy of the parameters, moments and averages. */
  getState(): Map<string, Tensor> {
    return new Map(
      [...this.state[this.current]].map(([name, value]) => [
        name,
        tensor('float32', value.dims, (value.data as Float32Array).slice()),
      ]),
    );
  }

  /** Replaces parameters, moments and averages by those of the same names. */
  setState(state: ReadonlyMap<string, Tensor>): void {
    for (const [name, value] of this.state[this.current]) {
      const from = state.get(name);
      if (from) (value.data as Float32Array).set(from.data as Float32Array);
    }
  }

  async close(): Promise<void> {
    await this.releaseFrozen();
    await this.training.release();
    await this.update?.release();
    await this.evaluation.release();
    await this.features?.close();
  }
}

/** What one run of the training graph takes: a batch, or a part of one. */
interface Part {
  /** Which of a plan's steps. */
  readonly step: number;
  /** The place of its first image in the batch. */
  readonly first: number;
  readonly slots: Int32Array;
  /** Whether it is the step's last. */
  readonly isLast: boolean;
}

/** The runs of `steps` steps; those that would take nothing but what fills up the batch are left out. */
function partsOf(slots: Int32Array, steps: number, batch: number, microBatch: number): Part[] {
  const parts: Part[] = [];
  for (let step = 0; step < steps; step++) {
    const own: Omit<Part, 'isLast'>[] = [];
    for (let first = 0; first < batch; first += microBatch) {
      const part = new Int32Array(microBatch).fill(-1);
      const from = step * batch + first;
      part.set(slots.subarray(from, Math.min(from + microBatch, (step + 1) * batch)));
      if (first === 0 || part.some((slot) => slot >= 0)) own.push({ step, first, slots: part });
    }
    own.forEach((part, index) => parts.push({ ...part, isLast: index === own.length - 1 }));
  }
  return parts;
}

/** A promise whose rejection may wait until it is asked for. */
function handled(promise: Promise<unknown> | undefined): Promise<unknown> | undefined {
  promise?.catch(() => undefined);
  return promise;
}

/** Runs a session. @throws UserError `not-runnable` with ONNX Runtime's reason. */
async function run(file: string, session: ort.InferenceSession, prepared: Run | undefined): Promise<void> {
  if (!prepared) throw new Error('unreachable');
  try {
    await runInto(session, prepared);
  } catch (thrown) {
    throw refusal('not-runnable', `failed while it ran ${file}`, thrown);
  }
}

/** What ONNX Runtime says against a part of the model, or that the machine has met a limit. The parts keep the nodes' names, so its reason leads to the source. */
function refusal(code: string, what: string, thrown: unknown): Error {
  return (
    machineErrorOf(thrown) ??
    new UserError(
      code,
      `ONNX Runtime ${what}: ${ort.reasonOf(thrown)}; check that it runs the model that you began with, or choose --provider cpu where another lacks an operator`,
      { cause: thrown },
    )
  );
}

function asTensor(dtype: BoundaryDType, data: Row | undefined, dims: readonly number[]): ort.Tensor {
  if (dtype === 'uint8' && data instanceof Uint8Array) return new ort.Tensor('uint8', data, dims);
  if (dtype === 'float16' && data instanceof Uint16Array) return new ort.Tensor('float16', data, dims);
  if (dtype === 'float32' && data instanceof Float32Array) return new ort.Tensor('float32', data, dims);
  throw new Error(`expected ${dtype}`);
}

/**
 * `session` with the MaxPools on the CPU whose indices are asked for, as gradients do: ONNX Runtime's WebGPU provider takes such
 * a node, and then fails when it runs it.
 */
function withoutIndices(
  session: ort.InferenceSession.SessionOptions,
  bytes: Uint8Array,
  path: string,
): ort.InferenceSession.SessionOptions {
  if (!session.executionProviders?.includes('webgpu')) return session;
  const forceCpuNodeNames = (decodeModel(bytes, path).graph?.node ?? [])
    .filter(({ opType, output }) => opType === 'MaxPool' && output.length > 1)
    .map(({ name }) => name);
  if (forceCpuNodeNames.length === 0) return session;
  return { ...session, executionProviders: [{ name: 'webgpu', forceCpuNodeNames }, 'cpu'] };
}

function sessionOptions({ threads, provider = 'cpu' }: StepperOptions): ort.InferenceSession.SessionOptions {
  return {
    // What a provider lacks runs on the CPU.
    executionProviders: provider === 'cpu' ? ['cpu'] : [provider, 'cpu'],
    executionMode: 'sequential',
    interOpNumThreads: 1,
    // With it a run takes all its memory in one piece beside what the first run took in many: almost twice as much, and slower.
    enableMemPattern: false,
    ...(threads > 0 ? { intraOpNumThreads: threads } : {}),
    ...ort.SESSION_OPTIONS,
  };
}

/** The index of the largest of `count` values from `start`, the first of equals; −1 where one of them is NaN. */
export function argMax(values: Float32Array, start: number, count: number): number {
  let best = 0;
  let largest = -Infinity;
  for (let index = 0; index < count; index++) {
    const value = values[start + index] ?? NaN;
    if (Number.isNaN(value)) return -1;
    if (value <= largest) continue;
    best = index;
    largest = value;
  }
  return best;
}
