import { LOSS_SCALING, type Manifest, NEXT, stateNames, STEP_INPUTS, STEP_OUTPUTS } from '../artifacts/manifest.js';
import { elementCount, tensor, type Tensor } from '../onnx/tensor.js';
import { boundaryTensors } from './boundaryTensors.js';
import * as ort from './ort.js';
import type { Run } from './runInto.js';
import type { Row } from './slots.js';

type TensorSet = ReadonlyMap<string, ort.Tensor>;
type Tensors = Record<string, ort.Tensor>;

/** The sessions of a step: one that does all of it, or one for each part of a batch and one that updates. */
export interface StepSessions {
  readonly training: ort.InferenceSession;
  readonly update: ort.InferenceSession | undefined;
}

/** State in one of its two places, and the place of the next state. */
interface Turn {
  readonly now: TensorSet;
  readonly after: TensorSet;
}

/**
 * The memory of training steps, bound to the inputs and outputs of their runs once. Parameters and moments lie in two sets of tensors that
 * swap roles at every step, or in one where a batch takes several runs, so that a step allocates nothing and state never moves.
 */
export class StepBindings {
  /** Labels of a run's images, or their targets where these are soft. */
  readonly labels: BigInt64Array;
  readonly targets: Float32Array;
  /** What each image of a run weighs in the loss. */
  readonly shares: Float32Array;
  readonly rate = new Float32Array(1);
  readonly step = new Float32Array(1);
  readonly loss = new Float32Array(1);
  /** [images of a run, classes]. */
  readonly logits: Float32Array;
  private readonly turns: readonly [Turn, Turn];
  /** Tensors in which a batch's gradients add up; empty when one run takes the whole batch. */
  private readonly gradients: TensorSet;
  /** Runs of the training graph by the buffers of the boundary, and of both graphs by current state. */
  private readonly trainingRuns: readonly (readonly [Run, Run])[];
  private readonly updateRuns: readonly [Run, Run];
  /** Which set holds the current state. */
  private current: 0 | 1 = 0;

  /** @param buffers for the boundary of a run's images: while a run reads the first, the second is filled for the next one. */
  constructor(
    private readonly manifest: Manifest,
    sessions: StepSessions,
    buffers: readonly [readonly Row[], readonly Row[]],
  ) {
    const { batch, microBatch = batch, classes, targets, parameters } = manifest;
    this.labels = new BigInt64Array(microBatch);
    this.targets = new Float32Array(targets === 'soft' ? microBatch * classes.length : 0);
    this.shares = new Float32Array(microBatch);
    this.logits = new Float32Array(microBatch * classes.length);
    const shapes = shapesOf(manifest);
    const stateful = stateNames(manifest);
    const first = newSet(stateful, shapes);
    // A graph that only updates has read each value when it writes the next one; the backward pass still needs the parameters.
    const second = sessions.update ? first : newSet(stateful, shapes);
    this.turns = [
      { now: first, after: second },
      { now: second, after: first },
    ];
    this.gradients = newSet(
      parameters.flatMap(({ gradient }) => gradient ?? []),
      shapes,
    );
    this.trainingRuns = buffers.map((rows) => this.trainingRunsOn(rows, sessions));
    this.updateRuns = both(this.turns, ({ now, after }) => ({
      feeds: { ...this.schedule(), ...Object.fromEntries(now), ...Object.fromEntries(this.gradients) },
      fetches: nextOf(after, sessions),
    }));
  }

  /** The run of the training graph that takes the boundary from one of the two buffers. */
  trainingRun(buffer: 0 | 1): Run {
    const runs = this.trainingRuns[buffer];
    if (!runs) throw new Error('unreachable');
    return runs[this.current];
  }

  /** The run of the update graph, where there is one. */
  get updateRun(): Run {
    return this.updateRuns[this.current];
  }

  /** Makes what the last run wrote the current state. */
  swap(): void {
    this.current = this.current === 0 ? 1 : 0;
  }

  clearGradients(): void {
    for (const value of this.gradients.values()) dataOf(value).fill(0);
  }

  /** What the evaluation graph takes of the current state: averages in place of parameters where those are kept. */
  evaluated(): Tensors {
    const { parameters, statistics } = this.manifest;
    const state = this.turns[this.current].now;
    const feeds: Tensors = {};
    for (const { name, average } of [...parameters, ...statistics.map(({ name }) => ({ name, average: undefined }))]) {
      const value = state.get(average ?? name);
      if (value) feeds[name] = value;
    }
    return feeds;
  }

  /** A copy of the current state. */
  getState(): Map<string, Tensor> {
    return new Map(
      [...this.turns[this.current].now].map(([name, value]) => [
        name,
        tensor('float32', value.dims, dataOf(value).slice()),
      ]),
    );
  }

  /** Replaces the values of the current state that `state` has too. */
  setState(state: ReadonlyMap<string, Tensor>): void {
    for (const [name, value] of this.turns[this.current].now) {
      const from = state.get(name);
      if (from) dataOf(value).set(from.data as Float32Array);
    }
  }

  private trainingRunsOn(rows: readonly Row[], sessions: StepSessions): readonly [Run, Run] {
    const { batch, microBatch = batch, boundary, classes, targets, parameters } = this.manifest;
    const images = {
      [STEP_INPUTS.shares]: new ort.Tensor('float32', this.shares, [microBatch]),
      ...(targets === 'soft'
        ? { [STEP_INPUTS.targets]: new ort.Tensor('float32', this.targets, [microBatch, classes.length]) }
        : { [STEP_INPUTS.labels]: new ort.Tensor('int64', this.labels, [microBatch]) }),
      ...boundaryTensors(boundary, rows, microBatch),
    };
    const results = {
      [STEP_OUTPUTS.loss]: new ort.Tensor('float32', this.loss, []),
      [STEP_OUTPUTS.logits]: new ort.Tensor('float32', this.logits, [microBatch, classes.length]),
    };
    const read = new Set([...parameters.map(({ name }) => name), LOSS_SCALING.scale]);
    return both(this.turns, ({ now, after }) => {
      if (!sessions.update)
        return {
          feeds: { ...images, ...this.schedule(), ...Object.fromEntries(now) },
          fetches: { ...results, ...nextOf(after, sessions) },
        };
      const current = Object.fromEntries([...now].filter(([name]) => read.has(name)));
      return {
        feeds: { ...images, ...current, ...Object.fromEntries(this.gradients) },
        fetches: { ...results, ...nextOf(this.gradients, sessions) },
      };
    });
  }

  private schedule(): Tensors {
    return {
      [STEP_INPUTS.learningRate]: new ort.Tensor('float32', this.rate, []),
      [STEP_INPUTS.step]: new ort.Tensor('float32', this.step, []),
    };
  }
}

const both = <From, To>([first, second]: readonly [From, From], map: (each: From) => To): [To, To] => [
  map(first),
  map(second),
];

const dataOf = ({ data }: ort.Tensor) => data as Float32Array;

/** The shape of each value that lasts from step to step. */
function shapesOf({ parameters, statistics }: Manifest): ReadonlyMap<string, readonly number[]> {
  return new Map([
    ...statistics.map(({ name, shape }) => [name, shape] as const),
    ...parameters.flatMap(({ name, shape, moments, average, gradient }) =>
      [name, ...moments, average, gradient].flatMap((each) => (each === undefined ? [] : [[each, shape] as const])),
    ),
  ]);
}

function newSet(names: readonly string[], shapes: ReadonlyMap<string, readonly number[]>): TensorSet {
  return new Map(
    names.map((name) => {
      const shape = shapes.get(name) ?? [];
      return [name, new ort.Tensor('float32', new Float32Array(elementCount(shape)), shape)];
    }),
  );
}

/** Outputs that write into `set`, in the shapes that the graph gives them: results may be vectors, whatever the shape. */
function nextOf(set: TensorSet, { training, update }: StepSessions): Tensors {
  const dims = new Map([training, update].flatMap((session) => session?.outputMetadata ?? []).map(dimsOf));
  return Object.fromEntries(
    [...set].map(([name, value]) => [
      name + NEXT,
      new ort.Tensor('float32', dataOf(value), dims.get(name + NEXT) ?? value.dims),
    ]),
  );
}

function dimsOf({ name, ...metadata }: ort.InferenceSession.ValueMetadata): [string, number[]] {
  const shape = metadata.isTensor ? metadata.shape : [];
  return [name, shape.filter((dim) => typeof dim === 'number')];
}
