import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { entryPoint } from '../../entryPoint.js';
import { messageOf, UserError } from '../../errors.js';
import { LIFELINE } from '../../lifeline.js';
import { POOL_VARIABLE, wantedPoolSize } from '../../threadPool.js';
import type { EpochPoint, Exported, Job, JobRequest } from '../api.js';
import { shellLine } from './commandOf.js';
import { type JobChange, readJobEvent } from './jobEvents.js';
import { type RunEnergy, startEnergy } from './runEnergy.js';

/** Jobs that have ended and are still shown. */
const MOST_ENDED = 20;
/** Jobs that wait for their turn. */
const MOST_WAITING = 20;
/** Where the command has the other end of its lifeline: it saves and ends when this process has ended, however that ended. */
const LIFELINE_AT = 3;

export interface JobsOptions {
  /** The words of the command that does what is asked, without `ort-tl`. @throws UserError for what cannot be done. */
  readonly commandOf: (request: JobRequest) => string[];
  /** What is told of a file or folder that an export has written. */
  readonly describeExport: (out: string) => Promise<Pick<Exported, 'name' | 'bytes'>>;
  readonly onChange: (jobs: readonly Job[]) => void;
  /** Called when a job has ended, or was stopped before it began, with the joules that it took, where they were measured. */
  readonly onEnd: (job: Job, energy: RunEnergy | undefined) => void;
  /** In place of this process's. */
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Long work, one piece after another. Each is a command of `ort-tl` in a process of its own: the page does nothing that the command line
 * cannot, and what fails or is killed takes nothing with it.
 */
export class Jobs {
  private readonly entries: Entry[] = [];
  private count = 0;
  private isClosed = false;

  constructor(private readonly options: JobsOptions) {}

  /** The one that was asked for last comes first. */
  get list(): Job[] {
    return this.entries.map((each) => each.job).reverse();
  }

  /** Puts a job at the end of the queue. @throws UserError `too-many-jobs`, and what `commandOf` throws. */
  add(request: JobRequest): Job {
    if (this.entries.filter(({ job }) => job.state === 'waiting').length >= MOST_WAITING)
      throw new UserError('too-many-jobs', `${MOST_WAITING} jobs wait already; stop one, or wait until one has ended`);
    const words = this.options.commandOf(request);
    const entry = new Entry(`${++this.count}`, request, words, () => this.tell());
    this.entries.push(entry);
    this.runNext();
    return entry.job;
  }

  /** Ends a job: a training saves first, and can go on. @throws UserError `bad-arguments` where there is none of that number. */
  stop(id: string): Job {
    const entry = this.entries.find((each) => each.job.id === id);
    if (!entry) throw new UserError('bad-arguments', `there is no job ${id}`);
    const hasBegun = entry.job.state !== 'waiting';
    entry.stop();
    if (!hasBegun) this.ended(entry);
    return entry.job;
  }

  /** Stops what runs, and waits until it has saved. */
  async close(): Promise<void> {
    this.isClosed = true;
    for (const { isEnded, job } of [...this.entries]) if (!isEnded) this.stop(job.id);
    await Promise.all(this.entries.map((each) => each.ended));
  }

  private runNext(): void {
    const isBusy = this.entries.some(({ job }) => job.state === 'running' || job.state === 'stopping');
    const next = this.entries.find(({ job }) => job.state === 'waiting');
    if (!isBusy && next && !this.isClosed) {
      void next.run(this.options).then(() => {
        this.ended(next);
        this.runNext();
      });
    }
    this.tell();
  }

  private ended(entry: Entry): void {
    this.options.onEnd(entry.job, entry.energy);
    // Those that were asked for last are kept.
    const ended = this.entries.filter((each) => each.isEnded);
    for (const old of ended.slice(0, Math.max(0, ended.length - MOST_ENDED)))
      this.entries.splice(this.entries.indexOf(old), 1);
  }

  private tell(): void {
    this.options.onChange(this.list);
  }
}

/** How a command ended. */
interface Ended {
  /** Undefined where a signal ended it, or it did not begin. */
  readonly code: number | undefined;
  /** What it said of an error last. */
  readonly lastLine: string;
}

class Entry {
  ended: Promise<unknown> = Promise.resolve();
  energy: RunEnergy | undefined;
  private state: Job['state'] = 'waiting';
  private began = 0;
  private took: number | undefined;
  private child: ChildProcess | undefined;
  private told: Omit<Job, 'id' | 'kind' | 'command' | 'state' | 'elapsedMs' | 'results'> = {};
  private points: readonly EpochPoint[] = [];
  private out: JobChange['exported'];

  constructor(
    private readonly id: string,
    private readonly request: JobRequest,
    private readonly words: readonly string[],
    private readonly onChange: () => void,
  ) {
    const run = runOf(request, words);
    if (run !== undefined) this.told = { run };
  }

  get job(): Job {
    const { id, request, words, state, told, points } = this;
    return {
      id,
      kind: request.kind,
      command: shellLine(['npx', 'ort-tl', ...words]),
      state,
      elapsedMs: this.took ?? (this.began === 0 ? 0 : performance.now() - this.began),
      ...told,
      ...(points.length > 0 ? { results: points } : {}),
    };
  }

  get isEnded(): boolean {
    return this.state === 'done' || this.state === 'stopped' || this.state === 'failed';
  }

  private get isStopping(): boolean {
    return this.state === 'stopping';
  }

  stop(): void {
    if (this.state === 'waiting') this.state = 'stopped';
    else if (this.state === 'running') {
      this.state = 'stopping';
      this.child?.kill('SIGINT');
    }
    this.onChange();
  }

  run(options: JobsOptions): Promise<Job> {
    const running = this.runToEnd(options);
    this.ended = running;
    return running;
  }

  private async runToEnd({ describeExport, env = process.env }: JobsOptions): Promise<Job> {
    this.state = 'running';
    this.began = performance.now();
    this.onChange();
    const isTraining = this.request.kind === 'train' || this.request.kind === 'resume';
    const measured = isTraining ? await startEnergy() : undefined;
    const { code, lastLine } = await this.runCommand(env).catch((thrown: unknown) => ({
      code: undefined,
      lastLine: messageOf(thrown),
    }));
    this.energy = await measured?.stop();
    this.took = performance.now() - this.began;
    await this.settle(code, lastLine, describeExport);
    this.onChange();
    return this.job;
  }

  /** Throws where the system does not even take the words, such as too many of them. */
  private async runCommand(env: NodeJS.ProcessEnv): Promise<Ended> {
    const child = (this.child = spawn(process.execPath, [entryPoint('main'), ...this.words, '--events'], {
      // A terminal's Ctrl-C comes to this process alone: the command would take a second signal for a wish not to save.
      detached: true,
      windowsHide: true,
      env: { ...env, [POOL_VARIABLE]: String(wantedPoolSize()), [LIFELINE]: String(LIFELINE_AT) },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    }));
    // It may have been stopped since.
    if (this.isStopping) child.kill('SIGINT');
    child.stdio[LIFELINE_AT]?.on('error', () => undefined);
    let lastLine = '';
    const readers = [
      readLines(child.stdout, (line) => this.take(readJobEvent(line))),
      readLines(child.stderr, (line) => {
        if (line.startsWith('ort-tl: ')) lastLine = line.slice('ort-tl: '.length);
      }),
    ];
    const code = await new Promise<number | undefined>((done) => {
      child.once('error', (thrown) => {
        lastLine = thrown.message;
        done(undefined);
      });
      child.once('close', (exitCode) => done(exitCode ?? undefined));
    });
    await Promise.all(readers);
    return { code, lastLine };
  }

  private async settle(
    code: number | undefined,
    lastLine: string,
    describeExport: JobsOptions['describeExport'],
  ): Promise<void> {
    const { progress, ...told } = this.told;
    this.told = told;
    if (code === 0 && this.out) {
      const { out, ...found } = this.out;
      try {
        this.told = { ...told, exported: { ...found, ...(await describeExport(out)) } };
      } catch (thrown) {
        this.fail(thrown instanceof Error ? thrown.message : String(thrown));
        return;
      }
    }
    const isStopped = code === 130 || code === 143 || (this.state === 'stopping' && code !== 0);
    if (code === 0) this.state = 'done';
    else if (isStopped) this.state = 'stopped';
    else this.fail(lastLine === '' ? `the command ended with code ${code ?? 'unknown'}` : lastLine);
  }

  private fail(message: string): void {
    this.state = 'failed';
    this.told = { ...this.told, message };
  }

  private take(change: JobChange | undefined): void {
    if (!change) return;
    const { progress, point, epochs, recommendation, exported } = change;
    if (point) this.points = [...this.points.filter(({ epoch }) => epoch < point.epoch), point];
    if (exported) this.out = exported;
    this.told = {
      ...this.told,
      ...(progress ? { progress } : {}),
      ...(epochs === undefined ? {} : { epochs }),
      ...(recommendation ? { recommendation } : {}),
    };
    this.onChange();
  }
}

/** The folder's name of the run that a job writes. */
function runOf(request: JobRequest, words: readonly string[]): string | undefined {
  if (request.kind === 'resume') return request.run;
  if (request.kind !== 'train') return undefined;
  return words.at(-1)?.split(/[\\/]/).at(-1);
}

async function readLines(stream: NodeJS.ReadableStream | null, onLine: (line: string) => void): Promise<void> {
  if (!stream) return;
  for await (const line of createInterface({ input: stream })) onLine(line);
}
