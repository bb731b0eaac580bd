import { parentPort } from 'node:worker_threads';
import { loadArtifacts } from '../artifacts/load.js';
import { carried } from '../carriedError.js';
import type { Tensor } from '../onnx/tensor.js';
import type { Reply } from '../pendingCalls.js';
import {
  type CacheState,
  type EvaluationResult,
  Stepper,
  type StepperOptions,
  type StepPlan,
  type StepResult,
} from './stepper.js';

export interface Call {
  readonly id: number;
  readonly name: string;
  readonly args: readonly unknown[];
}

let stepper: Stepper | undefined;
let stopped: Int32Array<SharedArrayBuffer> | undefined;
const isStopped = () => stopped !== undefined && Atomics.load(stopped, 0) === 1;

function open(): Stepper {
  if (!stepper) throw new Error('no artifacts are open');
  return stepper;
}

/** What the worker does for {@link Engine}, by the names in its calls. */
const operations = {
  open: async (folder: string, options: StepperOptions, flag: Int32Array<SharedArrayBuffer>): Promise<void> => {
    stopped = flag;
    stepper = await Stepper.create(loadArtifacts(folder), options);
  },
  store: (
    slots: Int32Array,
    labels: readonly number[],
    pixels: Uint8Array,
    keys: readonly string[] | undefined,
  ): Promise<void> => (isStopped() ? Promise.resolve() : open().store(slots, labels, pixels, keys)),
  recall: (slots: Int32Array, labels: readonly number[], keys: readonly string[]): Promise<number[]> =>
    isStopped() ? Promise.resolve([]) : open().recall(slots, labels, keys),
  cacheState: (): Promise<CacheState | undefined> => Promise.resolve(open().cacheState()),
  releaseFrozen: (): Promise<void> => open().releaseFrozen(),
  steps: (plan: StepPlan): Promise<StepResult> => open().steps(plan, isStopped),
  evaluate: (slots: Int32Array): Promise<EvaluationResult> => open().evaluate(slots, isStopped),
  getState: (): Promise<Map<string, Tensor>> => Promise.resolve(open().getState()),
  setState: (state: ReadonlyMap<string, Tensor>): Promise<void> => {
    open().setState(state);
    return Promise.resolve();
  },
  close: (): Promise<void> => open().close(),
};

export type Operations = typeof operations;

async function carryOut({ id, name, args }: Call): Promise<Reply> {
  try {
    const operation = operations[name as keyof Operations] as (...args: readonly unknown[]) => Promise<unknown>;
    return { id, result: await operation(...args) };
  } catch (thrown) {
    return { id, error: carried(thrown) };
  }
}

const bufferOf = ({ data }: Tensor) => data.buffer;

let last = Promise.resolve();
parentPort?.on('message', (call: Call) => {
  last = last.then(async () => {
    const answer = await carryOut(call);
    // A copy of the state is handed over, not copied again.
    const buffers =
      call.name === 'getState' && answer.result instanceof Map ? [...answer.result.values()].map(bufferOf) : [];
    parentPort?.postMessage(answer, buffers);
  });
});
