import type { Artifacts } from '../artifacts/load.js';
import type { Caller } from '../channel.js';
import { elementCount, type Tensor } from '../onnx/tensor.js';
import { clipFactor } from '../optim/update.js';
import { Opened } from '../opened.js';
import { GradientSession, type PartResult } from './gradientSession.js';
import * as ort from './ort.js';
import { sessionOptions } from './partSessions.js';
import type { Provider } from './providers.js';
import { buffersOf } from './sentTensor.js';
import { type StartedWorker, startWorker } from './startWorker.js';
import { lossScaleOf, settleLossScale, shareOut, StateUpdate, type UpdateStep } from './stateUpdate.js';
import type { StepPart, StepSession } from './stepSession.js';
import type { StepOperations } from './stepWorker.js';
import { arrayOf, TrainingMemory } from './trainingMemory.js';

export interface TeamOptions {
  /** Threads of ONNX Runtime in all; 0 lets it choose. */
  readonly threads: number;
  readonly provider: Provider;
  /** μ of μ/2·‖p − p₀‖², which is added to the loss, p₀ what the state was set to last; default 0. */
  readonly proximal?: number | undefined;
}

/**
 * The sessions of a training step: one in this thread, and others in workers of their own where the manifest says that several take the
 * parts of a batch side by side. Each updates a share of the parameters. The same sessions give the same bits, whoever ends first.
 */
export class StepTeam implements StepSession {
  readonly isInTurn = false;
  /** How many sessions have run parts of the step under way. */
  private taking = 0;

  private constructor(
    private readonly manifest: Artifacts['manifest'],
    private readonly memory: TrainingMemory,
    private readonly own: { readonly session: GradientSession; readonly update: StateUpdate },
    private readonly others: readonly StartedWorker<StepOperations>[],
    private readonly opened: Opened,
  ) {}

  /** @throws UserError `not-loadable` when ONNX Runtime refuses the training graph; MachineError where no thread can be started. */
  static async open(artifacts: Artifacts, { threads, provider, proximal = 0 }: TeamOptions): Promise<StepTeam> {
    const { folder, manifest } = artifacts;
    const { sessions = 1 } = manifest;
    const shared = TrainingMemory.allocate(manifest, proximal > 0);
    const memory = new TrainingMemory(manifest, shared, proximal > 0);
    const shares = sharesOf(manifest);
    const own = sessionOptions(sessions > 1 ? Math.max(1, Math.floor(threads / sessions)) : threads, provider);
    const opened = new Opened();
    try {
      const others: StartedWorker<StepOperations>[] = [];
      for (let index = 1; index < sessions; index++)
        others.push(opened.add(startWorker<StepOperations>('stepWorker', 'takes a part of a batch'), closeWorker));
      const opening = others.map(({ caller }, n) =>
        caller.call('open', [
          { folder, manifest, memory: shared, index: n + 1, share: shares[n + 1] ?? [], proximal },
          own,
        ]),
      );
      await Promise.allSettled(opening);
      await Promise.all(opening);
      const session = opened.add(await GradientSession.open({ folder, manifest, memory, index: 0 }, own), (each) =>
        each.close(),
      );
      const update = new StateUpdate(manifest, memory, shares[0] ?? [], proximal);
      return new StepTeam(manifest, memory, { session, update }, others, opened);
    } catch (thrown) {
      await opened.close();
      throw thrown;
    }
  }

  /** The workers, which can evaluate between steps too. */
  get workers(): Caller<StepOperations>[] {
    return this.others.map(({ caller }) => caller);
  }

  partsWithin(): number {
    return this.memory.gradients.length;
  }

  /** Runs each part in a session of its own, the first in this thread. Arrays of the first result are written anew by the next run. */
  async run(parts: readonly StepPart[], meanwhile: () => void): Promise<PartResult[]> {
    const [first, ...more] = parts;
    if (!first) return [];
    const theirs = more.map(({ rows, ...part }, n) =>
      this.ask(n, 'run', [rows, part], buffersOf(rows.map((data) => ({ data })))),
    );
    meanwhile();
    const { rows, ...part } = first;
    const own = this.own.session.run(rows, part);
    const results = await settleAll([own, ...theirs]);
    if (first.isFirst) this.taking = parts.length;
    if (first.isLast) await this.update(first, this.taking);
    return results;
  }

  tensorOf(name: string, shape: readonly number[]): ort.Tensor {
    const values = arrayOf(this.memory.state, name);
    // ONNX Runtime takes no memory that threads share.
    return new ort.Tensor('float32', this.memory.gradients.length > 1 ? values.slice() : values, shape);
  }

  readState(): Promise<ReadonlyMap<string, Float32Array<ArrayBuffer>>> {
    return Promise.resolve(new Map([...this.memory.state].map(([name, values]) => [name, Float32Array.from(values)])));
  }

  writeState(state: ReadonlyMap<string, Tensor>): void {
    const { memory } = this;
    for (const arrays of [memory.state, memory.anchors])
      for (const [name, values] of arrays) {
        const from = state.get(name);
        if (from) values.set(from.data as Float32Array);
      }
  }

  /** Ends a step of which `sessions` have run parts: updates the state by the sum of their gradients. */
  private async update({ learningRate, step }: StepPart, sessions: number): Promise<void> {
    const { clipNorm, precision } = this.manifest;
    const isScaled = precision === 'mixed';
    const wantsSquares = clipNorm > 0 || isScaled;
    const scale = 1 / lossScaleOf(this.memory);
    const squares = await this.addUp(sessions, wantsSquares);
    const hasOverflowed = isScaled && !Number.isFinite(squares);
    if (!hasOverflowed) {
      const factor = clipFactor(squares * scale * scale, clipNorm);
      await this.apply({ learningRate, step, scale: scale * factor });
    }
    settleLossScale(this.memory, hasOverflowed);
  }

  close(): Promise<void> {
    return this.opened.close();
  }

  /** Adds the gradients up. Gives the sum of their squares where it is wanted, in the order of the parameters however they are shared out. */
  private async addUp(sessions: number, wantsSquares: boolean): Promise<number> {
    const theirs = this.others.map((_, n) => this.ask(n, 'addUp', [sessions, wantsSquares]));
    this.own.update.addUp(sessions);
    const squares = [wantsSquares ? this.own.update.squares() : [], ...(await settleAll(theirs))];
    const byPlace: number[] = [];
    sharesOf(this.manifest).forEach((places, n) =>
      places.forEach((place, at) => (byPlace[place] = squares[n]?.[at] ?? 0)),
    );
    return byPlace.reduce((sum, each) => sum + each, 0);
  }

  private async apply(step: UpdateStep): Promise<void> {
    const theirs = this.others.map((_, n) => this.ask(n, 'apply', [step]));
    this.own.update.apply(step);
    await settleAll(theirs);
  }

  private ask<Name extends keyof StepOperations>(
    index: number,
    name: Name,
    args: Parameters<StepOperations[Name]>,
    buffers: readonly ArrayBuffer[] = [],
  ) {
    const other = this.others[index];
    if (!other) throw new Error('there are more parts than sessions');
    return other.caller.call(name, args, buffers);
  }
}

/** The places of the parameters that each session updates. */
const sharesOf = ({ parameters, sessions = 1 }: Artifacts['manifest']) =>
  shareOut(
    parameters.map(({ shape }) => elementCount(shape)),
    sessions,
  );

/** The results of `all` once each has ended: where one fails, no other may still be writing. */
async function settleAll<Result>(all: readonly Promise<Result>[]): Promise<Result[]> {
  await Promise.allSettled(all);
  return Promise.all(all);
}

async function closeWorker({ worker, caller }: StartedWorker<StepOperations>): Promise<void> {
  // A worker that is dead has given all back.
  await caller.call('close', []).catch(() => undefined);
  await worker.terminate();
}
