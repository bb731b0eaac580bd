import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mergeInto, type MergedSuite } from '../bench/mergeShards.js';
import { readShard } from '../bench/shardFile.js';
import { type ShardProgress, shardProgress } from '../bench/shardProgress.js';
import { SuiteFolder } from '../bench/suiteFolder.js';
import { UserError } from '../errors.js';
import { makeFolder, writeFailed, writeFileAtomically } from '../files.js';
import { arrayOf, jobScript, logOf, shardIn, shardsIn, type SlurmJob } from './jobScript.js';
import { type ArrayTask, cancelArray, submitArray, tasksOf } from './slurmCommands.js';
import { readSweep, type SweepFile, writeSweep } from './sweepFile.js';

/** How often a task that failed is submitted again. */
const AGAIN = 2;
/** How often Slurm is asked: after a twentieth of the time that has passed, within these bounds. */
const LEAST_MS = 1000;
const MOST_MS = 15_000;
const GOING_ON =
  /^(PENDING|CONFIGURING|RUNNING|COMPLETING|SUSPENDED|STOPPED|REQUEUE\w*|RESIZING|SIGNALING|STAGE_OUT|RESV_DEL_HOLD|SPECIAL_EXIT)$/;
const AT_WORK = /^(RUNNING|COMPLETING|SUSPENDED|STOPPED|SIGNALING|STAGE_OUT)$/;
/** Reasons to wait that never pass. */
const NEVER =
  /^(PartitionTimeLimit|PartitionNodeLimit|BadConstraints|InvalidAccount|InvalidQOS|AccountNotAllowed|QOSNotAllowed)$/;

export interface SweepOptions extends SlurmJob {
  /** Equal for calls of which a later one takes up what an earlier one has begun. */
  readonly suite: string;
  /** Ends the watching. */
  readonly signal: AbortSignal;
  /** Whether the array is to be cancelled then; else it goes on by itself. */
  readonly cancels: () => boolean;
}

/** What a sweep on Slurm tells while it goes on. */
export type SweepEvent =
  | { readonly type: 'submitted'; readonly job: string; readonly tasks: number }
  | { readonly type: 'taken-up'; readonly jobs: readonly string[] }
  | SweepState
  | {
      readonly type: 'again';
      readonly index: number;
      readonly state: string;
      readonly time: number;
      readonly of: number;
    }
  | { readonly type: 'given-up'; readonly index: number; readonly state: string; readonly log: string };

export interface SweepState {
  readonly type: 'state';
  readonly waiting: number;
  readonly running: number;
  readonly done: number;
  readonly failed: number;
  /** Why Slurm lets tasks wait. */
  readonly reasons: readonly string[];
  readonly finishedRuns: number;
}

/** How a sweep ended: joined, or with arrays that were cancelled, or that go on. */
export type SweepEnd =
  { readonly merged: MergedSuite } | { readonly cancelled: readonly string[] } | { readonly left: readonly string[] };

/**
 * Runs a suite as an array of Slurm, one part a task, and joins the parts; goes on with what an earlier call has submitted.
 * @throws UserError `no-slurm`, `slurm-refused`, `other-shard`, `folder-in-use`, `foreign-files`, `write-failed`.
 */
export async function* sweep(options: SweepOptions): AsyncGenerator<SweepEvent, SweepEnd> {
  const folder = await SuiteFolder.open(options.out);
  try {
    return yield* new Sweep(options, folder).run();
  } finally {
    folder.close();
  }
}

class Sweep {
  private file: SweepFile;
  private readonly all: readonly number[];
  private readonly script: string;

  constructor(
    private readonly options: SweepOptions,
    private readonly folder: SuiteFolder,
  ) {
    const { out, count } = options;
    this.all = Array.from({ length: count }, (_, index) => index + 1);
    this.script = join(out, 'slurm.sh');
    this.file = this.fresh();
  }

  async *run(): AsyncGenerator<SweepEvent, SweepEnd> {
    yield* this.begin();
    const began = performance.now();
    for (;;) {
      const { signal, cancels } = this.options;
      const found = await this.look();
      if (found) {
        yield this.stateOf(found);
        if (await this.neverStarts(found)) throw neverStarts(found);
        if (!signal.aborted) yield* this.submitAgain(found);
        if (this.all.every((index) => !isGoingOn(found.get(index)))) break;
      }
      if (signal.aborted) return cancels() ? await this.cancel() : { left: this.jobs };
      const pause = Math.min(MOST_MS, Math.max(LEAST_MS, (performance.now() - began) / 20));
      await sleep(pause, undefined, { signal }).catch(() => undefined);
    }
    await this.save({ hasEnded: true });
    return { merged: await this.merge() };
  }

  /** Takes up the arrays that are there, or submits what is to be made. */
  private async *begin(): AsyncGenerator<SweepEvent> {
    const { out, count, suite } = this.options;
    const before = readSweep(out);
    const isSame = before?.suite === suite && before.count === count;
    if (before && !before.hasEnded) {
      this.file = before;
      if (isSame) {
        yield { type: 'taken-up', jobs: this.jobs };
        return;
      }
      const found = await this.look();
      if (!found || [...found.values()].some((task) => isGoingOn(task)))
        throw new UserError(
          'other-shard',
          `an array for this suite as it was before, in ${before.count} shards, is under way in ${out} (job ${this.jobs.join(', ')}); wait for it, or end it: scancel ${this.jobs.join(' ')}`,
        );
    }
    this.file = this.fresh();
    // What was finished of the same suite need not even be looked at by a node.
    const tasks = isSame ? this.all.filter((index) => !this.progressOf(index).isComplete) : this.all;
    try {
      await makeFolder(shardsIn(out));
    } catch (cause) {
      throw writeFailed(shardsIn(out), cause);
    }
    await writeFileAtomically(this.script, jobScript(this.options));
    if (tasks.length > 0) yield await this.submit(tasks);
  }

  /** The latest task of each part, where Slurm still knows one; undefined where Slurm does not answer. */
  private async look(): Promise<Map<number, ArrayTask> | undefined> {
    const found = new Map<number, ArrayTask>();
    for (const { id, tasks } of this.file.jobs) {
      const told = await tasksOf(id);
      if (!told) return undefined;
      // An earlier array's task of the same part is of no interest any more.
      for (const index of tasks) found.delete(index);
      for (const task of told) if (tasks.includes(task.index)) found.set(task.index, task);
    }
    return found;
  }

  private stateOf(found: ReadonlyMap<number, ArrayTask>): SweepState {
    const tasks = [...found.values()];
    const running = tasks.filter(({ state }) => AT_WORK.test(state)).length;
    const waiting = tasks.filter((task) => isGoingOn(task)).length - running;
    const done = this.all.filter((index) => this.isDone(index, found)).length;
    const reasons = tasks.filter(({ state }) => state === 'PENDING').map(({ reason }) => reason);
    return {
      ...{ type: 'state', waiting, running, done, failed: this.all.length - waiting - running - done },
      reasons: [...new Set(reasons.filter((reason) => reason !== 'None' && reason !== ''))],
      finishedRuns: this.all.reduce((sum, index) => sum + this.progressOf(index).finished, 0),
    };
  }

  /** Slurm's own word counts; of what it has forgotten, the part's folder tells. */
  private isDone(index: number, found: ReadonlyMap<number, ArrayTask>): boolean {
    const task = found.get(index);
    return task ? task.state === 'COMPLETED' : this.progressOf(index).isComplete;
  }

  /** Submits again what has failed, unless that was done often enough, or somebody has cancelled all of it. */
  private async *submitAgain(found: Map<number, ArrayTask>): AsyncGenerator<SweepEvent> {
    const failed = this.all.filter((index) => !isGoingOn(found.get(index)) && !this.isDone(index, found));
    const stateOf = (index: number) => found.get(index)?.state ?? 'gone from the queue';
    const isCancelled = failed.length > 1 && failed.every((index) => stateOf(index) === 'CANCELLED');
    if (isCancelled && ![...found.values()].some((task) => isGoingOn(task))) {
      await this.save({ hasEnded: true });
      throw new UserError(
        'slurm-refused',
        `all tasks that were left were cancelled (job ${this.jobs.join(', ')}); what is finished is kept, and the same command takes it up again`,
      );
    }
    const again: number[] = [];
    for (const index of failed) {
      const time = (this.file.again[String(index)] ?? 0) + 1;
      if (time > AGAIN + 1) continue;
      this.file.again[String(index)] = time;
      const state = stateOf(index);
      if (time > AGAIN) yield { type: 'given-up', index, state, log: logOf(this.options.out, index) };
      else {
        yield { type: 'again', index, state, time, of: AGAIN };
        again.push(index);
      }
    }
    if (again.length === 0) return;
    const event = await this.submit(again);
    yield event;
    for (const index of again) found.set(index, { job: event.job, index, state: 'PENDING', reason: '' });
  }

  private async submit(tasks: readonly number[]): Promise<Extract<SweepEvent, { readonly type: 'submitted' }>> {
    const { asked, count } = this.options;
    const array = arrayOf(tasks.length === count ? { first: 1, last: count } : tasks, asked);
    const job = await submitArray(this.script, array);
    await this.save({ jobs: [...this.file.jobs, { id: job, tasks: [...tasks], at: new Date().toISOString() }] });
    return { type: 'submitted', job, tasks: tasks.length };
  }

  /** Whether Slurm took the array, and will never start it; it is then cancelled. */
  private async neverStarts(found: ReadonlyMap<number, ArrayTask>): Promise<boolean> {
    const goingOn = [...found.values()].filter((task) => isGoingOn(task));
    const isStuck = goingOn.length > 0 && goingOn.every(({ reason }) => NEVER.test(reason));
    if (isStuck) await this.cancel();
    return isStuck;
  }

  private async cancel(): Promise<SweepEnd> {
    for (const job of this.jobs) await cancelArray(job);
    await this.save({ hasEnded: true });
    return { cancelled: this.jobs };
  }

  private merge(): Promise<MergedSuite> {
    const { out } = this.options;
    const folders = this.all.map((index) => shardIn(out, index)).filter((each) => readShard(each) !== undefined);
    if (folders.length === 0)
      throw new UserError(
        'slurm-refused',
        `no task has begun its part: ${logOf(out, 1)} says why, if the nodes see ${out} at all, which has to lie in a folder that they share`,
      );
    return mergeInto(this.folder, folders);
  }

  private get jobs(): string[] {
    return this.file.jobs.map(({ id }) => id);
  }

  private progressOf(index: number): ShardProgress {
    return shardProgress(shardIn(this.options.out, index));
  }

  private fresh(): SweepFile {
    const { suite, count } = this.options;
    return { format: 1, suite, count, jobs: [], again: {}, hasEnded: false };
  }

  private async save(change: Partial<SweepFile>): Promise<void> {
    this.file = { ...this.file, ...change };
    await writeSweep(this.options.out, this.file);
  }
}

const isGoingOn = (task: ArrayTask | undefined): boolean => task !== undefined && GOING_ON.test(task.state);

function neverStarts(found: ReadonlyMap<number, ArrayTask>): UserError {
  const reasons = [...new Set([...found.values()].map(({ reason }) => reason).filter((reason) => NEVER.test(reason)))];
  return new UserError(
    'slurm-refused',
    `Slurm took the array, and would never start it: ${reasons.join(', ')}; it was cancelled; ask for what the partition allows (‹time›, ‹partition›)`,
  );
}
