import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { type Artifacts } from '../artifacts/load.js';
import { FILES } from '../artifacts/compile.js';
import { messageOf, UserError } from '../errors.js';
import { NEXT, PIXELS, stateNames, STEP_INPUTS, STEP_OUTPUTS } from '../artifacts/manifest.js';
import { elementCount, floatTensor, type Tensor } from '../onnx/tensor.js';
import { meanShares } from '../optim/loss.js';
import type { Provider } from './providers.js';

export interface StepperOptions {
  /** Photos whose boundary can be kept at once. */
  readonly slots: number;
  /** Threads of ONNX Runtime; 0 lets it choose. */
  readonly threads: number;
  /** Default `cpu`. */
  readonly provider?: Provider;
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
}

export interface StepResult {
  /** Mean loss of each step's images. */
  readonly losses: Float32Array;
  /** Images whose class was right before the step that used them. */
  readonly correct: number;
  readonly images: number;
}

export interface EvaluationResult {
  /** [images, classes], in the order of the slots. */
  readonly logits: Float32Array;
}

type Row = Float32Array | Uint8Array;
type TensorSet = ReadonlyMap<string, ort.Tensor>;

/** A session's inputs and where its outputs go, prepared. */
interface Run {
  readonly feeds: Record<string, ort.Tensor>;
  readonly fetches: Record<string, ort.Tensor>;
}

/** Images a run of the evaluation graph. */
const EVALUATION_BATCH = 64;

/**
 * Runs artifacts: keeps the boundary of photos in slots, and parameters and moments in two sets of tensors that swap roles
 * at every step, so that a step allocates nothing. Its runs block the thread; see {@link Engine} for the worker round it.
 */
export class Stepper {
  private frozen: ort.InferenceSession | undefined;
  private readonly stores: {
    name: string;
    dtype: 'float32' | 'uint8';
    shape: readonly number[];
    size: number;
    rows: Row;
  }[];
  private readonly labels: Int32Array;
  private readonly batchRows: Row[];
  private readonly labelData: BigInt64Array;
  private readonly targetData: Float32Array;
  private readonly shareData: Float32Array;
  /** Of the images of a whole batch. */
  private readonly batchShares: Float32Array;
  private readonly rateData = new Float32Array(1);
  private readonly stepData = new Float32Array(1);
  private readonly lossData = new Float32Array(1);
  private readonly logitData: Float32Array;
  private readonly state: readonly [TensorSet, TensorSet];
  /** Where a batch's gradients add up; empty when one run takes the whole batch. */
  private readonly gradients: readonly [TensorSet, TensorSet];
  /** Runs of the training graph and of the update graph, by the current state and the current gradients. */
  private readonly trainingRuns: readonly (readonly Run[])[];
  private readonly updateRuns: readonly (readonly Run[])[];
  /** Which set holds the current state. */
  private current: 0 | 1 = 0;

  private constructor(
    private readonly artifacts: Artifacts,
    slots: number,
    frozen: ort.InferenceSession | undefined,
    private readonly training: ort.InferenceSession,
    private readonly update: ort.InferenceSession | undefined,
    private readonly evaluation: ort.InferenceSession,
  ) {
    this.frozen = frozen;
    const { batch, microBatch = batch, boundary, classes, parameters, statistics, targets } = artifacts.manifest;
    const rows = (dtype: 'float32' | 'uint8', count: number): Row =>
      dtype === 'uint8' ? new Uint8Array(count) : new Float32Array(count);
    this.stores = boundary.map(({ name, dtype, shape }) => {
      const size = elementCount(shape);
      return { name, dtype, shape, size, rows: rows(dtype, size * slots) };
    });
    this.labels = new Int32Array(slots);
    this.batchRows = this.stores.map(({ dtype, size }) => rows(dtype, size * microBatch));
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
    this.state = [newSet(stateful), newSet(stateful)];
    const summed = parameters.flatMap(({ gradient }) => gradient ?? []);
    this.gradients = [newSet(summed), newSet(summed)];

    const images: Record<string, ort.Tensor> = {
      [STEP_INPUTS.shares]: new ort.Tensor('float32', this.shareData, [microBatch]),
      ...(targets === 'soft'
        ? { [STEP_INPUTS.targets]: new ort.Tensor('float32', this.targetData, [microBatch, classes.length]) }
        : { [STEP_INPUTS.labels]: new ort.Tensor('int64', this.labelData, [microBatch]) }),
    };
    this.stores.forEach(({ name, dtype, shape }, index) => {
      images[name] = asTensor(dtype, this.batchRows[index], [microBatch, ...shape]);
    });
    const schedule = {
      [STEP_INPUTS.learningRate]: new ort.Tensor('float32', this.rateData, []),
      [STEP_INPUTS.step]: new ort.Tensor('float32', this.stepData, []),
    };
    const results = {
      [STEP_OUTPUTS.loss]: new ort.Tensor('float32', this.lossData, []),
      [STEP_OUTPUTS.logits]: new ort.Tensor('float32', this.logitData, [microBatch, classes.length]),
    };
    const next = (set: TensorSet) => Object.fromEntries([...set].map(([name, value]) => [name + NEXT, value]));
    const parameterNames = new Set(parameters.map(({ name }) => name));
    const [first, second] = this.state;
    const states = [
      { now: first, after: second },
      { now: second, after: first },
    ];
    const [even, odd] = this.gradients;
    const sums = [
      { now: even, after: odd },
      { now: odd, after: even },
    ];
    this.trainingRuns = states.map(({ now, after }) =>
      update
        ? sums.map((sum) => ({
            feeds: {
              ...images,
              ...Object.fromEntries([...now].filter(([name]) => parameterNames.has(name))),
              ...Object.fromEntries(sum.now),
            },
            fetches: { ...results, ...next(sum.after) },
          }))
        : [{ feeds: { ...images, ...schedule, ...Object.fromEntries(now) }, fetches: { ...results, ...next(after) } }],
    );
    this.updateRuns = states.map(({ now, after }) =>
      sums.map((sum) => ({
        feeds: { ...schedule, ...Object.fromEntries(now), ...Object.fromEntries(sum.now) },
        fetches: next(after),
      })),
    );
    this.setState(artifacts.state);
  }

  /** @throws UserError `not-loadable` when ONNX Runtime refuses a part of the model, such as an operator that it does not know. */
  static async create(artifacts: Artifacts, options: StepperOptions): Promise<Stepper> {
    const session = sessionOptions(options);
    const open = async (name: string) => {
      const bytes = readFileSync(join(artifacts.folder, name));
      try {
        return await ort.InferenceSession.create(bytes, session);
      } catch (thrown) {
        throw refusal('not-loadable', `cannot load ${join(artifacts.folder, name)}`, thrown);
      }
    };
    const openIfThere = async (name: string) =>
      artifacts.manifest.files[name] === undefined ? undefined : await open(name);
    const frozen = await openIfThere(FILES.frozen);
    const training = await open(FILES.training);
    const update = await openIfThere(FILES.update);
    return new Stepper(artifacts, options.slots, frozen, training, update, await open(FILES.evaluation));
  }

  /** Runs the frozen part on `pixels`, uint8 [count, H, W, 3], and keeps the results and labels in consecutive slots. */
  async store(firstSlot: number, labels: readonly number[], pixels: Uint8Array): Promise<void> {
    this.labels.set(labels, firstSlot);
    const count = labels.length;
    const { height, width } = this.artifacts.manifest.preprocessing;
    const fetches: Record<string, ort.Tensor> = {};
    for (const { name, dtype, shape, size, rows } of this.stores) {
      if (name === PIXELS) rows.set(pixels, firstSlot * size);
      else
        fetches[name] = asTensor(dtype, rows.subarray(firstSlot * size, (firstSlot + count) * size), [count, ...shape]);
    }
    if (!this.frozen) return;
    const feeds = { [PIXELS]: new ort.Tensor('uint8', pixels, [count, height, width, 3]) };
    await run(FILES.frozen, this.frozen, { feeds, fetches });
  }

  /** Gives back the frozen part's memory: every photo's boundary is stored. */
  async releaseFrozen(): Promise<void> {
    await this.frozen?.release();
    this.frozen = undefined;
  }

  /** Takes the steps of `plan`, until `isStopped` or a loss that is no number (the last one returned). */
  async steps(plan: StepPlan, isStopped: () => boolean = () => false): Promise<StepResult> {
    const { batch, microBatch = batch, classes, classWeights, targets } = this.artifacts.manifest;
    const losses = new Float32Array(plan.learningRates.length);
    const part = new Int32Array(microBatch);
    let correct = 0;
    let images = 0;
    let taken = 0;
    for (; taken < losses.length && !isStopped(); taken++) {
      const slots = plan.slots.subarray(taken * batch, (taken + 1) * batch);
      const labels = slots.map((slot) => (slot < 0 ? -1 : (this.labels[slot] ?? 0)));
      meanShares(labels, targets === 'soft' ? undefined : classWeights, this.batchShares);
      this.rateData[0] = plan.learningRates[taken] ?? 0;
      this.stepData[0] = plan.firstStep + taken;
      if (this.update) for (const value of this.gradients[0].values()) (value.data as Float32Array).fill(0);
      let loss = 0;
      let runs = 0;
      for (let first = 0; first < batch; first += microBatch) {
        part.fill(-1);
        part.set(slots.subarray(first, first + microBatch));
        // Nothing but what fills up the batch.
        if (runs > 0 && part.every((slot) => slot < 0)) continue;
        this.gather(part, this.batchRows);
        this.shareData.fill(0);
        this.shareData.set(this.batchShares.subarray(first, first + microBatch));
        part.forEach((slot, n) => (this.labelData[n] = BigInt(slot < 0 ? 0 : (labels[first + n] ?? 0))));
        if (targets === 'soft')
          this.gatherTargets(plan.targets, taken * batch + first, labels.subarray(first, first + microBatch));
        await run(FILES.training, this.training, this.trainingRuns[this.current]?.[this.update ? runs % 2 : 0]);
        runs++;
        loss += this.lossData[0] ?? NaN;
        part.forEach((slot, n) => {
          if (slot < 0) return;
          images++;
          if (argMax(this.logitData, n * classes.length, classes.length) === labels[first + n]) correct++;
        });
      }
      if (this.update) await run(FILES.update, this.update, this.updateRuns[this.current]?.[runs % 2]);
      this.current = this.current === 0 ? 1 : 0;
      losses[taken] = loss;
      if (!Number.isFinite(loss)) {
        taken++;
        break;
      }
    }
    return { losses: losses.subarray(0, taken), correct, images };
  }

  /** Rows of `targets` from `first` on for as many images as there are `labels`; without `targets`, one-hot rows. */
  private gatherTargets(targets: Float32Array | undefined, first: number, labels: Int32Array): void {
    const classes = this.artifacts.manifest.classes.length;
    this.targetData.fill(0);
    if (targets) this.targetData.set(targets.subarray(first * classes, (first + labels.length) * classes));
    else labels.forEach((label, n) => label >= 0 && (this.targetData[n * classes + label] = 1));
  }

  /** The logits of stored photos under the current parameters, or under their averages where those are kept. */
  async evaluate(slots: Int32Array): Promise<EvaluationResult> {
    const { classes, parameters, statistics } = this.artifacts.manifest;
    const logits = new Float32Array(slots.length * classes.length);
    const set = this.state[this.current];
    const feeds: Record<string, ort.Tensor> = {};
    for (const { name, average } of [...parameters, ...statistics.map(({ name }) => ({ name, average: undefined }))]) {
      const value = set.get(average ?? name);
      if (value) feeds[name] = value;
    }
    const buffers = this.stores.map(({ dtype, size }) =>
      dtype === 'uint8' ? new Uint8Array(size * EVALUATION_BATCH) : new Float32Array(size * EVALUATION_BATCH),
    );
    for (let first = 0; first < slots.length; first += EVALUATION_BATCH) {
      const some = slots.subarray(first, first + EVALUATION_BATCH);
      this.gather(some, buffers);
      this.stores.forEach(({ name, dtype, shape, size }, index) => {
        feeds[name] = asTensor(dtype, buffers[index]?.subarray(0, size * some.length), [some.length, ...shape]);
      });
      const results = logits.subarray(first * classes.length, (first + some.length) * classes.length);
      const fetches = { [STEP_OUTPUTS.logits]: new ort.Tensor('float32', results, [some.length, classes.length]) };
      await run(FILES.evaluation, this.evaluation, { feeds, fetches });
    }
    return { logits };
  }

  /** A copy of the parameters, moments and averages. */
  getState(): Map<string, Tensor> {
    return new Map(
      [...this.state[this.current]].map(([name, value]) => [
        name,
        floatTensor(value.dims, (value.data as Float32Array).slice()),
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
  }

  /** Copies the slots' rows one after another; a slot of -1 gets zeros. */
  private gather(slots: Int32Array, into: readonly Row[]): void {
    this.stores.forEach(({ rows, size }, index) => {
      const target = into[index];
      if (!target) return;
      slots.forEach((slot, n) => {
        if (slot < 0) target.fill(0, n * size, (n + 1) * size);
        else target.set(rows.subarray(slot * size, (slot + 1) * size), n * size);
      });
    });
  }
}

/** Runs a session. @throws UserError `not-runnable` with ONNX Runtime's reason. */
async function run(file: string, session: ort.InferenceSession, prepared: Run | undefined): Promise<void> {
  if (!prepared) throw new Error('unreachable');
  try {
    await session.run(prepared.feeds, prepared.fetches);
  } catch (thrown) {
    throw refusal('not-runnable', `failed while it ran ${file}`, thrown);
  }
}

/** What ONNX Runtime says against a part of the model. The parts keep the nodes' names, so its reason leads to the source. */
function refusal(code: string, what: string, thrown: unknown): UserError {
  return new UserError(
    code,
    `ONNX Runtime ${what}: ${messageOf(thrown).trim()}; check that it runs the model that you began with, or choose --provider cpu where another lacks an operator`,
    { cause: thrown },
  );
}

function asTensor(dtype: 'float32' | 'uint8', data: Row | undefined, dims: readonly number[]): ort.Tensor {
  if (dtype === 'uint8' && data instanceof Uint8Array) return new ort.Tensor('uint8', data, dims);
  if (dtype === 'float32' && data instanceof Float32Array) return new ort.Tensor('float32', data, dims);
  throw new Error(`expected ${dtype}`);
}

function sessionOptions({ threads, provider = 'cpu' }: StepperOptions): ort.InferenceSession.SessionOptions {
  return {
    // What a provider lacks runs on the CPU.
    executionProviders: provider === 'cpu' ? ['cpu'] : [provider, 'cpu'],
    executionMode: 'sequential',
    interOpNumThreads: 1,
    ...(threads > 0 ? { intraOpNumThreads: threads } : {}),
    logSeverityLevel: 4,
  };
}

/** The index of the largest of `count` values from `start`, the first of equals. */
export function argMax(values: Float32Array, start: number, count: number): number {
  let best = 0;
  for (let index = 1; index < count; index++) {
    if ((values[start + index] ?? NaN) > (values[start + best] ?? NaN)) best = index;
  }
  return best;
}
