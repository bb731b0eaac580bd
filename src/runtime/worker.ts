import { parentPort } from 'node:worker_threads';
import { loadArtifacts } from '../artifacts/load.js';
import { answerCalls, HandedOver, threadLine } from '../channel.js';
import { giveBack } from '../giveBack.js';
import type { Tensor } from '../onnx/tensor.js';
import type { CachedRows } from './photoRows.js';
import { buffersOf } from './sentTensor.js';
import { sessionOperations } from './sessionOperations.js';
import type { Row } from './slots.js';
import { type EvaluationResult, Stepper, type StepperOptions, type StepPlan, type StepResult } from './stepper.js';

/** Rows of photos add up, until the collector comes, also where each is small. */
const LEAST_ROW_BYTES = 2 ** 12;

const bufferOf = ({ data }: Tensor) => data.buffer;

let stepper: Stepper | undefined;
let stopped: Int32Array<SharedArrayBuffer> | undefined;
const isStopped = () => stopped !== undefined && Atomics.load(stopped, 0) === 1;

function open(): Stepper {
  if (!stepper) throw new Error('no artifacts are open');
  return stepper;
}

/** What the worker does for {@link Engine}, by the names in its calls: it runs the frozen part too, where one session does that. */
const operations = {
  ...sessionOperations(),
  open: async (folder: string, options: StepperOptions, flag: Int32Array<SharedArrayBuffer>): Promise<void> => {
    stopped = flag;
    stepper = await Stepper.create(loadArtifacts(folder), options);
  },
  /** Goes on with the artifacts in another folder, or with others in the same. */
  exchange: (folder: string): Promise<void> => open().exchange(loadArtifacts(folder)),
  grow: (slots: number): void => {
    open().rows.grow(slots);
  },
  forget: (slots: Int32Array): void => {
    open().rows.forget(slots);
  },
  keep: async (
    slots: Int32Array,
    labels: readonly number[],
    boundary: readonly Row[],
    keys: readonly string[] | undefined,
  ): Promise<void> => {
    if (!isStopped()) await open().keep(slots, labels, boundary, keys);
    giveBack(buffersOf(boundary.map((data) => ({ data }))), LEAST_ROW_BYTES);
  },
  recall: (slots: Int32Array, labels: readonly number[], keys: readonly string[]): Promise<number[]> =>
    isStopped() ? Promise.resolve([]) : open().recall(slots, labels, keys),
  cacheState: (): CachedRows | undefined => open().cacheState(),
  releaseFrozen: (): Promise<void> => open().releaseFrozen(),
  steps: (plan: StepPlan): Promise<StepResult> => open().steps(plan, isStopped),
  evaluate: (slots: Int32Array): Promise<EvaluationResult> => open().evaluate(slots, isStopped),
  /** A copy of the state, which is handed over, not copied again. */
  getState: async (): Promise<HandedOver<Map<string, Tensor>>> => {
    const state = await open().getState();
    return new HandedOver(state, [...state.values()].map(bufferOf));
  },
  setState: (state: ReadonlyMap<string, Tensor>): void => {
    open().setState(state);
  },
  close: (): Promise<void> => open().close(),
};

export type EngineOperations = typeof operations;

if (parentPort) answerCalls(threadLine(parentPort), operations);
