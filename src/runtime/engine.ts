import { Worker } from 'node:worker_threads';
import { Caller, threadLine } from '../channel.js';
import { entryPoint } from '../entryPoint.js';
import { machineErrorOf } from '../machineError.js';
import type { Tensor } from '../onnx/tensor.js';
import type { EngineOperations } from './worker.js';
import type { CachedRows } from './photoRows.js';
import type { EvaluationResult, StepperOptions, StepPlan, StepResult } from './stepper.js';

/**
 * A {@link Stepper} in a worker thread: ONNX Runtime's `run` blocks its thread, and decoding and display go on in this one.
 * Calls are carried out in the order in which they were made; once the worker has died, they are refused with the reason.
 */
export class Engine {
  private readonly caller: Caller<EngineOperations>;
  /** One flag, seen by the worker between steps. */
  private readonly stopped = new Int32Array(new SharedArrayBuffer(4));
  private closed: Promise<void> | undefined;

  private constructor(
    private readonly worker: Worker,
    private readonly signal: AbortSignal | undefined,
  ) {
    if (signal?.aborted) this.stop();
    else signal?.addEventListener('abort', this.stop);
    this.caller = new Caller(threadLine(worker));
    const end = (reason: Error) => {
      this.caller.end(reason);
    };
    worker.on('messageerror', end);
    worker.on('error', end);
    worker.on('exit', (code) => {
      end(new Error(`the worker that trains ended with exit code ${code}`));
    });
  }

  /**
   * Loads the artifacts in `folder`, verified, and opens their sessions. When `signal` fires, steps and evaluations end after what is
   * under way, with what they have until then, and no more photos are taken: whoever fired it reads no more.
   */
  static async start(folder: string, options: StepperOptions, signal?: AbortSignal): Promise<Engine> {
    const engine = new Engine(startWorker(), signal);
    try {
      await engine.caller.call('open', [folder, options, engine.stopped]);
    } catch (thrown) {
      signal?.removeEventListener('abort', engine.stop);
      await engine.worker.terminate();
      throw thrown;
    }
    return engine;
  }

  /** See {@link Stepper.store}; `pixels` is handed over. */
  store(
    slots: Int32Array,
    labels: readonly number[],
    pixels: Uint8Array<ArrayBuffer>,
    keys?: readonly string[],
  ): Promise<void> {
    return this.caller.call('store', [slots, labels, pixels, keys], [pixels.buffer]);
  }

  /** See {@link Stepper.recall}. */
  recall(slots: Int32Array, labels: readonly number[], keys: readonly string[]): Promise<number[]> {
    return this.caller.call('recall', [slots, labels, keys]);
  }

  cacheState(): Promise<CachedRows | undefined> {
    return this.caller.call('cacheState', []);
  }

  releaseFrozen(): Promise<void> {
    return this.caller.call('releaseFrozen', []);
  }

  steps(plan: StepPlan): Promise<StepResult> {
    return this.caller.call('steps', [plan]);
  }

  evaluate(slots: Int32Array): Promise<EvaluationResult> {
    return this.caller.call('evaluate', [slots]);
  }

  getState(): Promise<Map<string, Tensor>> {
    return this.caller.call('getState', []);
  }

  setState(state: ReadonlyMap<string, Tensor>): Promise<void> {
    return this.caller.call('setState', [state]);
  }

  /** Lets the steps under way end after the current one, and an evaluation after some images. */
  readonly stop = (): void => {
    Atomics.store(this.stopped, 0, 1);
  };

  /** Gives back all that it took; a second call does nothing more, nor does one after the worker's death. */
  close(): Promise<void> {
    this.signal?.removeEventListener('abort', this.stop);
    return (this.closed ??= this.end());
  }

  private async end(): Promise<void> {
    try {
      await this.caller.call('close', []);
    } catch (thrown) {
      // A dead worker has given all back; why it died, its other calls tell.
      if (!this.caller.ended) throw thrown;
    } finally {
      await this.worker.terminate();
    }
  }
}

/** @throws MachineError where the system allows no further thread, or no files for one. */
function startWorker(): Worker {
  try {
    return new Worker(entryPoint('worker'));
  } catch (thrown) {
    throw machineErrorOf(thrown) ?? thrown;
  }
}
