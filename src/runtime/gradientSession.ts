import { FILES } from '../artifacts/artifactFiles.js';
import { type Manifest, NEXT, STEP_INPUTS, STEP_OUTPUTS } from '../artifacts/manifest.js';
import { boundaryTensors } from './boundaryTensors.js';
import * as ort from './ort.js';
import { openPart, runPart } from './partSessions.js';
import type { Row } from './slots.js';
import {
  type Arrays,
  arrayOf,
  newArrays,
  parameterShapes,
  stateShapes,
  type TrainingMemory,
} from './trainingMemory.js';

type Tensors = Record<string, ort.Tensor>;

/** What a run of the training graph takes beside the boundary and the parameters. */
export interface PartFeeds {
  /** Labels of its images; those that fill it up have any. */
  readonly labels: Int32Array;
  /** [images, classes], where targets are soft; else empty. */
  readonly targets: Float32Array;
  /** What each image weighs in the loss. */
  readonly shares: Float32Array;
  /** The number of the step, 1 for the first. */
  readonly step: number;
  /** Whether it is the first that this session takes of its step. */
  readonly isFirst: boolean;
}

export interface PartResult {
  readonly loss: number;
  /** [images, classes]. */
  readonly logits: Float32Array;
}

export interface GradientOptions {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly memory: TrainingMemory;
  /** Its place among the sessions of the memory. */
  readonly index: number;
}

/** A session of the training graph, and the memory of its runs: it adds up gradients of the parts of a batch that it is given. */
export class GradientSession {
  private readonly labels: BigInt64Array;
  private readonly targets: Float32Array;
  private readonly shares: Float32Array;
  private readonly step = new Float32Array(1);
  private readonly loss = new Float32Array(1);
  private readonly logits: Float32Array;
  /** What it reads of the state: the memory itself, or where that is shared, a copy. */
  private readonly read: Arrays;
  private readonly feeds: Tensors;
  /** Where the gradients of a run go: to their sums at once, or beside them. */
  private readonly direct: Tensors | undefined;
  private readonly beside: { readonly gradients: Arrays; readonly fetches: Tensors } | undefined;
  /** Running averages of BatchNormalizations as they become. */
  private readonly moved: Arrays;

  private constructor(
    private readonly options: GradientOptions,
    private readonly session: ort.InferenceSession,
  ) {
    const { manifest, memory } = options;
    const { batch, microBatch = batch, classes, targets, statistics } = manifest;
    this.labels = new BigInt64Array(microBatch);
    this.targets = new Float32Array(targets === 'soft' ? microBatch * classes.length : 0);
    this.shares = new Float32Array(microBatch);
    this.logits = new Float32Array(microBatch * classes.length);
    const isShared = memory.gradients.length > 1;
    const shapes = stateShapes(manifest);
    const inputs = new Set(session.inputNames);
    const wanted = new Map([...shapes].filter(([name]) => inputs.has(name)));
    this.read = isShared
      ? newArrays(wanted)
      : new Map([...wanted.keys()].map((name) => [name, arrayOf(memory.state, name)]));
    this.moved = newArrays(new Map(statistics.map(({ name, shape }) => [name, shape])));
    this.feeds = { ...this.imageTensors(), ...tensorsOf(this.read, wanted) };
    const results = { ...this.resultTensors(), ...tensorsOf(this.moved, shapes, NEXT) };
    const gradientShapes = parameterShapes(manifest);
    const fetchesInto = (arrays: Arrays) => ({ ...results, ...this.gradientTensors(arrays) });
    const takesSeveral = Math.ceil(batch / microBatch) > memory.gradients.length;
    this.direct = isShared ? undefined : fetchesInto(this.sums);
    if (isShared || takesSeveral) {
      const gradients = newArrays(gradientShapes);
      this.beside = { gradients, fetches: fetchesInto(gradients) };
    }
  }

  /** @throws UserError `not-loadable` when ONNX Runtime refuses the training graph. */
  static async open(
    options: GradientOptions,
    sessionOptions: ort.InferenceSession.SessionOptions,
  ): Promise<GradientSession> {
    return new GradientSession(options, await openPart(options.folder, FILES.training, sessionOptions));
  }

  /** Runs the training graph on a part of a batch, whose boundary `rows` holds. @throws UserError `not-runnable`. */
  async run(rows: readonly Row[], part: PartFeeds): Promise<PartResult> {
    const { manifest, memory } = this.options;
    const { batch, microBatch = batch, boundary } = manifest;
    if (part.isFirst && memory.gradients.length > 1) this.refresh();
    part.labels.forEach((label, n) => (this.labels[n] = BigInt(Math.max(0, label))));
    this.targets.set(part.targets);
    this.shares.set(part.shares);
    this.step[0] = part.step;
    const fetches = part.isFirst ? (this.direct ?? this.beside?.fetches) : this.beside?.fetches;
    if (!fetches) throw new Error('this session was to take one part of a batch');
    Object.assign(this.feeds, boundaryTensors(boundary, rows, microBatch));
    await runPart(FILES.training, this.session, { feeds: this.feeds, fetches });
    if (this.beside?.fetches === fetches) this.addUp(this.beside.gradients, part.isFirst);
    for (const [name, after] of this.moved) arrayOf(memory.state, name).set(after);
    return { loss: this.loss[0] ?? NaN, logits: this.logits };
  }

  close(): Promise<void> {
    return this.session.release();
  }

  private get sums(): Arrays {
    const { memory, index } = this.options;
    const sums = memory.gradients[index];
    if (!sums) throw new Error('unreachable');
    return sums;
  }

  /** Adds the gradients of a run to the sums, or puts them there where they are the first. */
  private addUp(gradients: Arrays, areFirst: boolean): void {
    for (const [name, gradient] of gradients) {
      const sum = arrayOf(this.sums, name);
      if (areFirst) sum.set(gradient);
      else for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (gradient[i] ?? 0);
    }
  }

  private refresh(): void {
    const { state } = this.options.memory;
    for (const [name, own] of this.read) own.set(arrayOf(state, name));
  }

  private imageTensors(): Tensors {
    const { batch, microBatch = batch, classes, targets } = this.options.manifest;
    const all: Tensors = {
      [STEP_INPUTS.shares]: new ort.Tensor('float32', this.shares, [microBatch]),
      [STEP_INPUTS.step]: new ort.Tensor('float32', this.step, []),
      ...(targets === 'soft'
        ? { [STEP_INPUTS.targets]: new ort.Tensor('float32', this.targets, [microBatch, classes.length]) }
        : { [STEP_INPUTS.labels]: new ort.Tensor('int64', this.labels, [microBatch]) }),
    };
    const inputs = new Set(this.session.inputNames);
    return Object.fromEntries(Object.entries(all).filter(([name]) => inputs.has(name)));
  }

  private resultTensors(): Tensors {
    const { batch, microBatch = batch, classes } = this.options.manifest;
    return {
      [STEP_OUTPUTS.loss]: new ort.Tensor('float32', this.loss, []),
      [STEP_OUTPUTS.logits]: new ort.Tensor('float32', this.logits, [microBatch, classes.length]),
    };
  }

  private gradientTensors(arrays: Arrays): Tensors {
    return Object.fromEntries(
      this.options.manifest.parameters.map(({ name, shape, gradient }) => [
        gradient ?? '',
        new ort.Tensor('float32', arrayOf(arrays, name), shape),
      ]),
    );
  }
}

function tensorsOf(arrays: Arrays, shapes: ReadonlyMap<string, readonly number[]>, suffix = ''): Tensors {
  return Object.fromEntries(
    [...arrays].map(([name, array]) => [name + suffix, new ort.Tensor('float32', array, shapes.get(name) ?? [])]),
  );
}
