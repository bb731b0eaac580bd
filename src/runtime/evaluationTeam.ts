import type { Artifacts } from '../artifacts/load.js';
import type { Caller } from '../channel.js';
import { MachineError } from '../errors.js';
import { Opened } from '../opened.js';
import { evaluationShares } from './evaluationShares.js';
import { type EvaluatedImages, Evaluator, type EvaluatorOperations } from './evaluator.js';
import type * as ort from './ort.js';
import { sessionOptions } from './partSessions.js';
import { buffersOf } from './sentTensor.js';
import { type Row, whenAllHaveEnded } from './slots.js';
import { startWorker } from './startWorker.js';
import type { StepOperations } from './stepWorker.js';
import type { TeamOptions } from './stepTeam.js';

export interface EvaluationOptions extends TeamOptions {
  /** What sessions beside the first may take together, where that is limited. */
  readonly furtherBytes?: number | undefined;
}

/** Runs images in one of the sessions: gives their rows back. */
export type RunImages = (rows: Row[], images: number) => Promise<EvaluatedImages>;

/** A run of an evaluation. */
export interface Turn {
  /** Which of the runs it is. */
  readonly index: number;
  /** Those of a run before it, to be written anew; absent in the first ones. */
  readonly rows: Row[] | undefined;
  readonly run: RunImages;
}

/** Runs that a session has at once: the rows of one are read while the other is computed. */
const RUNS_AT_ONCE = 2;

/**
 * The sessions of an evaluation: one in this thread, and, where evaluating an image takes long, one for each further core in a worker.
 * Whichever is free takes the next run, whose results are the same in each.
 */
export class EvaluationTeam {
  /** Those in workers, which are opened when an evaluation first has runs for them. */
  private readonly others: Caller<EvaluatorOperations>[] = [];
  /** Whether the machine has let no further one start. */
  private isAtLimit = false;

  private constructor(
    private readonly artifacts: Artifacts,
    private readonly own: Evaluator,
    private readonly most: { readonly sessions: number; readonly options: ort.InferenceSession.SessionOptions },
    /** Workers that take steps, and evaluate too. */
    private readonly hosts: readonly Caller<StepOperations>[],
    private readonly opened: Opened,
  ) {}

  /** @throws UserError `not-loadable` when ONNX Runtime refuses the evaluation graph. */
  static async open(
    artifacts: Artifacts,
    given: EvaluationOptions,
    hosts: readonly Caller<StepOperations>[],
  ): Promise<EvaluationTeam> {
    const { folder, manifest } = artifacts;
    const { sessions, threads } = evaluationShares(manifest, given);
    const options = sessionOptions(threads, given.provider);
    const own = await Evaluator.open(folder, manifest, options);
    const opened = new Opened();
    opened.add(own, (each) => each.close());
    return new EvaluationTeam(artifacts, own, { sessions, options }, hosts, opened);
  }

  /**
   * Has the sessions take `runs` runs under `state`: `take` reads the rows of one, runs them, and gives them back, or nothing where none
   * shall follow. This thread is blocked while its own session computes.
   * @throws what `take` throws, once nothing is under way.
   */
  async evaluate(
    state: Record<string, ort.Tensor>,
    runs: number,
    take: (turn: Turn) => Promise<Row[] | undefined>,
  ): Promise<void> {
    await this.grow(Math.min(runs, this.most.sessions));
    const others = this.others.slice(0, Math.max(0, runs - 1));
    this.own.hold(state);
    await whenAllHaveEnded(others.map((other) => holdCopy(other, state)));
    let next = 0;
    let hasEnded = false;
    const takeTurns = async (run: RunImages): Promise<void> => {
      let rows: Row[] | undefined;
      while (!hasEnded && next < runs) {
        // Until it has come to its end, it is one that failed.
        let goesOn = false;
        try {
          rows = await take({ index: next++, rows, run });
          goesOn = rows !== undefined;
        } finally {
          hasEnded ||= !goesOn;
        }
      }
    };
    const all: RunImages[] = [
      (rows, images) => this.own.run(rows, images),
      ...others.map(
        (other): RunImages =>
          (rows, images) =>
            other.call('evaluate', [rows, images], buffersOf(rows.map((data) => ({ data })))),
      ),
    ];
    try {
      await whenAllHaveEnded(all.flatMap((run) => Array.from({ length: RUNS_AT_ONCE }, () => takeTurns(run))));
    } finally {
      this.own.hold({});
      await whenAllHaveEnded(others.map((other) => other.call('holdState', [[]])));
    }
  }

  close(): Promise<void> {
    return this.opened.close();
  }

  /** Opens sessions until there are so many. Where the machine has no thread for one, it goes on with those that there are. */
  private async grow(sessions: number): Promise<void> {
    const { folder, manifest } = this.artifacts;
    const { boundary, classes } = manifest;
    try {
      while (!this.isAtLimit && this.others.length + 1 < sessions) {
        const caller = this.hosts[this.others.length] ?? this.startOne();
        this.opened.add(caller, (each) => each.call('closeEvaluator', []).catch(() => undefined));
        await caller.call('openEvaluator', [folder, { boundary, classes }, this.most.options]);
        this.others.push(caller);
      }
    } catch (thrown) {
      if (!(thrown instanceof MachineError)) throw thrown;
      this.isAtLimit = true;
    }
  }

  private startOne(): Caller<StepOperations> {
    const { worker, caller } = startWorker<StepOperations>('stepWorker', 'evaluates');
    this.opened.add(worker, (each) => each.terminate());
    return caller;
  }
}

/** The state as another thread takes it: its copy is handed over. */
function holdCopy(other: Caller<EvaluatorOperations>, state: Record<string, ort.Tensor>): Promise<void> {
  const copies = Object.entries(state).map(([name, { type, dims, data }]) => ({
    name,
    type,
    dims,
    data: Float32Array.from(data as Float32Array),
  }));
  return other.call('holdState', [copies], buffersOf(copies));
}
