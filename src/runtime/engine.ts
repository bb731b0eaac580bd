import { Worker } from 'node:worker_threads';
import type { Tensor } from '../onnx/tensor.js';
import { UserError } from '../errors.js';
import type { Answer, Call, Operations } from './worker.js';
import type { CacheState, EvaluationResult, StepperOptions, StepPlan, StepResult } from './stepper.js';

/**
 * A {@link Stepper} in a worker thread: ONNX Runtime's `run` blocks its thread, and decoding and display go on in this one.
 * Calls are carried out in the order in which they were made.
 */
export class Engine {
  private readonly waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (reason: unknown) => void }
  >();
  /** One flag, seen by the worker between steps. */
  private readonly stopped = new Int32Array(new SharedArrayBuffer(4));
  private calls = 0;
  private closed: Promise<void> | undefined;

  private constructor(
    private readonly worker: Worker,
    private readonly signal: AbortSignal | undefined,
  ) {
    if (signal?.aborted) this.stop();
    else signal?.addEventListener('abort', this.stop);
    worker.on('message', ({ id, result, error }: Answer) => {
      const call = this.waiting.get(id);
      this.waiting.delete(id);
      if (error)
        call?.reject(error.code === undefined ? new Error(error.message) : new UserError(error.code, error.message));
      else call?.resolve(result);
    });
    const fail = (reason: Error) => {
      for (const { reject } of this.waiting.values()) reject(reason);
      this.waiting.clear();
    };
    worker.on('error', fail);
    worker.on('exit', (code) => fail(new Error(`the worker ended with exit code ${code}`)));
  }

  /**
   * Loads the artifacts in `folder`, verified, and opens their sessions. When `signal` fires, steps and evaluations end after what is
   * under way, with what they have until then, and no more photos are taken: whoever fired it reads no more.
   */
  static async start(folder: string, options: StepperOptions, signal?: AbortSignal): Promise<Engine> {
    // Under a TypeScript test runner this file is source, and the worker is the built one.
    const url = new URL(
      import.meta.url.endsWith('.ts') ? '../../dist/runtime/worker.js' : './worker.js',
      import.meta.url,
    );
    const engine = new Engine(new Worker(url), signal);
    try {
      await engine.call('open', [folder, options, engine.stopped]);
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
    return this.call('store', [slots, labels, pixels, keys], [pixels.buffer]);
  }

  /** See {@link Stepper.recall}. */
  recall(slots: Int32Array, labels: readonly number[], keys: readonly string[]): Promise<number[]> {
    return this.call('recall', [slots, labels, keys]);
  }

  cacheState(): Promise<CacheState | undefined> {
    return this.call('cacheState', []);
  }

  releaseFrozen(): Promise<void> {
    return this.call('releaseFrozen', []);
  }

  steps(plan: StepPlan): Promise<StepResult> {
    return this.call('steps', [plan]);
  }

  evaluate(slots: Int32Array): Promise<EvaluationResult> {
    return this.call('evaluate', [slots]);
  }

  getState(): Promise<Map<string, Tensor>> {
    return this.call('getState', []);
  }

  setState(state: ReadonlyMap<string, Tensor>): Promise<void> {
    return this.call('setState', [state]);
  }

  /** Lets the steps under way end after the current one, and an evaluation after some images. */
  readonly stop = (): void => {
    Atomics.store(this.stopped, 0, 1);
  };

  /** Gives back all that it took; a second call does nothing more. */
  close(): Promise<void> {
    this.signal?.removeEventListener('abort', this.stop);
    return (this.closed ??= this.call('close', []).then(async () => {
      await this.worker.terminate();
    }));
  }

  private call<Name extends keyof Operations>(
    name: Name,
    args: Parameters<Operations[Name]>,
    transfer: ArrayBuffer[] = [],
  ): Promise<Awaited<ReturnType<Operations[Name]>>> {
    const id = ++this.calls;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, name, args } satisfies Call, transfer);
    });
    // The worker answers a call with what the operation of that name returns.
    return answer as Promise<Awaited<ReturnType<Operations[Name]>>>;
  }
}
