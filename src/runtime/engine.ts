import { readManifest } from '../artifacts/load.js';
import { joined } from '../joined.js';
import type { Tensor } from '../onnx/tensor.js';
import { type Chunk, FrozenRunner } from './frozenRunner.js';
import type { CachedRows } from './photoRows.js';
import { buffersOf } from './sentTensor.js';
import type { Row } from './slots.js';
import { type StartedWorker, startWorker } from './startWorker.js';
import type { EvaluationResult, StepperOptions, StepPlan, StepResult } from './stepper.js';
import type { EngineOperations } from './worker.js';

export interface EngineOptions extends StepperOptions {
  /** Images that the frozen part will be run on; default the slots. */
  readonly images?: number;
  /** What the sessions of the frozen part may take together, where that is limited. */
  readonly memoryBytes?: number | undefined;
}

/**
 * A {@link Stepper} in a worker thread, and the frozen part in the same, or, where several of its sessions share the cores, in workers of
 * its own: ONNX Runtime's `run` blocks its thread, and decoding and display go on in this one. Calls of the stepper are carried out in the order in which they were made; once the worker has died, they are
 * refused with the reason.
 */
export class Engine {
  /** What the frozen part gave before is kept first, so that photos lie in the cache in the order in which they were given. */
  private keeping: Promise<unknown> = Promise.resolve();
  private closed: Promise<void> | undefined;

  private constructor(
    private readonly stepper: StartedWorker<EngineOperations>,
    /** Makes what runs the frozen part on so many images; nothing where there is no frozen part. */
    private readonly runnerFor: (images: number) => FrozenRunner | undefined,
    private frozen: FrozenRunner | undefined,
    /** One flag, seen by the worker between steps. */
    private readonly stopped: Int32Array<SharedArrayBuffer>,
    private readonly signal: AbortSignal | undefined,
  ) {
    if (signal?.aborted) this.stop();
    else signal?.addEventListener('abort', this.stop);
  }

  /**
   * Loads the artifacts in `folder`, verified, and opens their sessions. When `signal` fires, steps and evaluations end after what is
   * under way, with what they have until then, and no more photos are taken: whoever fired it reads no more.
   */
  static async start(folder: string, given: EngineOptions, signal?: AbortSignal): Promise<Engine> {
    const { memoryBytes, images = given.slots, ...options } = given;
    const { threads, provider = 'cpu' } = options;
    const stepper = startWorker<EngineOperations>('worker', 'trains');
    try {
      const host = stepper.caller;
      const manifest = readManifest(folder);
      const runnerFor = (count: number) =>
        FrozenRunner.of(folder, manifest, { threads, provider, images: count, memoryBytes, host });
      const stopped = new Int32Array(new SharedArrayBuffer(4));
      const frozen = runnerFor(images);
      await host.call('open', [folder, options, stopped]);
      return new Engine(stepper, runnerFor, frozen, stopped, signal);
    } catch (thrown) {
      await stepper.worker.terminate();
      throw thrown;
    }
  }

  /**
   * Goes on with other artifacts, in `folder`, that have the same frozen part: what is kept of photos stays, the state is theirs.
   * @throws UserError as {@link start} does; then it goes on with those that it had.
   */
  exchange(folder: string): Promise<void> {
    return this.stepper.caller.call('exchange', [folder]);
  }

  /** Makes room for so many slots, and has as many sessions run the frozen part as so many photos are worth. */
  async grow(slots: number): Promise<void> {
    await this.stepper.caller.call('grow', [slots]);
    const { frozen } = this;
    const larger = this.runnerFor(slots);
    if (!frozen || !larger || larger.imagesAtOnce <= frozen.imagesAtOnce) return;
    this.frozen = larger;
    await frozen.retire();
  }

  /** Lets go of what is in slots, so that other photos can be kept there. */
  forget(slots: Int32Array): Promise<void> {
    return this.stepper.caller.call('forget', [slots]);
  }

  /** What the frozen part gives of one image, uint8 [H, W, 3]: a part for each value of the boundary. Nothing is kept of it. */
  async boundaryOf(image: Uint8Array): Promise<readonly Row[]> {
    if (this.closed) throw new Error('the engine is closed');
    const [chunk] = this.frozen?.run([image]) ?? [];
    return chunk ? (await chunk).rows : [joined([image])];
  }

  /**
   * Runs the frozen part on images, uint8 [H, W, 3] each, and keeps the results and labels in `slots`; where there are `keys`, also in the
   * cache. Others may be stored meanwhile: the sessions of the frozen part never wait then.
   */
  store(
    slots: Int32Array,
    labels: readonly number[],
    images: readonly Uint8Array[],
    keys?: readonly string[],
  ): Promise<void> {
    if (Atomics.load(this.stopped, 0) === 1) return Promise.resolve();
    if (this.closed) return Promise.reject(new Error('the engine is closed'));
    const chunks = this.frozen?.run(images) ?? [{ first: 0, count: images.length, rows: [joined(images)] }];
    const keep = async () => {
      for (const chunk of chunks) await this.keep(slots, labels, await chunk, keys);
    };
    const kept = this.keeping.then(keep);
    this.keeping = kept.catch(() => undefined);
    return kept;
  }

  /** How many photos are to be under way so that no session of the frozen part waits. */
  get photosAtOnce(): number {
    return this.frozen?.imagesAtOnce ?? 1;
  }

  private keep(
    slots: Int32Array,
    labels: readonly number[],
    { first, count, rows }: Chunk,
    keys: readonly string[] | undefined,
  ): Promise<void> {
    const [from, to] = [first, first + count];
    const args = [slots.slice(from, to), labels.slice(from, to), rows, keys?.slice(from, to)] as const;
    return this.stepper.caller.call('keep', [...args], buffersOf(rows.map((data) => ({ data }))));
  }

  /** See {@link Stepper.recall}. */
  recall(slots: Int32Array, labels: readonly number[], keys: readonly string[]): Promise<number[]> {
    return this.stepper.caller.call('recall', [slots, labels, keys]);
  }

  cacheState(): Promise<CachedRows | undefined> {
    return this.stepper.caller.call('cacheState', []);
  }

  /** Gives back the memory of what fills slots: every photo's boundary is stored. */
  async releaseFrozen(): Promise<void> {
    await this.frozen?.release();
    await this.stepper.caller.call('releaseFrozen', []);
  }

  steps(plan: StepPlan): Promise<StepResult> {
    return this.stepper.caller.call('steps', [plan]);
  }

  evaluate(slots: Int32Array): Promise<EvaluationResult> {
    return this.stepper.caller.call('evaluate', [slots]);
  }

  getState(): Promise<Map<string, Tensor>> {
    return this.stepper.caller.call('getState', []);
  }

  setState(state: ReadonlyMap<string, Tensor>): Promise<void> {
    return this.stepper.caller.call('setState', [state]);
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
    const { caller, worker } = this.stepper;
    try {
      await this.frozen?.release();
      await caller.call('close', []);
    } catch (thrown) {
      // A dead worker has given all back; why it died, its other calls tell.
      if (!caller.ended) throw thrown;
    } finally {
      await worker.terminate();
    }
  }
}
