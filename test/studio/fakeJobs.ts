import type { EpochPoint, Job, JobRequest, StudioRun } from '../../src/studio/api.js';

interface FakeJobsOptions {
  readonly tell: (jobs: readonly Job[]) => void;
  readonly finished: (run: StudioRun) => void;
}

const TICK_MS = 80;

/** Jobs that do nothing, step by step. */
export class FakeJobs {
  list: Job[] = [];
  private count = 0;
  private readonly timers = new Map<string, NodeJS.Timeout>();

  constructor(private readonly options: FakeJobsOptions) {}

  start(request: JobRequest): Job {
    const id = String(++this.count);
    const { kind } = request;
    const run =
      kind === 'train' ? `run-${id}-${request.policy.replace(':', '')}` : kind === 'resume' ? request.run : undefined;
    const job: Job = {
      ...{ id, kind, command: `npx ort-tl ${kind} --data photos`, state: 'running', elapsedMs: 0 },
      ...(run !== undefined && { run, epochs: kind === 'train' ? (request.epochs ?? 10) : 10, results: [] }),
    };
    this.list = [job, ...this.list];
    this.options.tell(this.list);
    this.timers.set(
      id,
      setInterval(() => this.step(id, request), TICK_MS),
    );
    return job;
  }

  stop(id: string): Job {
    this.change(id, { state: 'stopping' });
    setTimeout(() => this.end(id, 'stopped'), TICK_MS);
    return this.found(id);
  }

  close(): void {
    for (const timer of this.timers.values()) clearInterval(timer);
  }

  /** How a run went: always alike, for its name. */
  pointsOf(name: string, epochs: number): EpochPoint[] {
    const from = (name.length % 5) / 20;
    return Array.from({ length: epochs }, (_, index) => {
      const left = Math.exp(-(index + 1) / 3);
      const [trainLoss, valLoss] = [1.8 * left + 0.05, 1.7 * left + 0.2 + from];
      return { epoch: index + 1, trainLoss, valLoss, trainTop1: 1 - 0.6 * left, top1: 0.95 - from - 0.5 * left };
    });
  }

  private found(id: string): Job {
    const job = this.list.find((each) => each.id === id);
    if (!job) throw new Error(`no job ${id}`);
    return job;
  }

  private change(id: string, change: Partial<Job>): void {
    this.list = this.list.map((job) => (job.id === id ? { ...job, ...change } : job));
    this.options.tell(this.list);
  }

  private step(id: string, request: JobRequest): void {
    const job = this.found(id);
    if (job.state !== 'running') return;
    const { elapsedMs, run, epochs = 0, results = [] } = job;
    const now = { elapsedMs: elapsedMs + TICK_MS };
    if (run !== undefined) {
      const done = results.length + 1;
      this.change(id, { ...now, results: this.pointsOf(run, done), progress: { phase: 'steps', done, total: epochs } });
      if (done >= epochs) this.end(id, 'done');
    } else if (elapsedMs < 3 * TICK_MS) {
      this.change(id, { ...now, progress: { phase: request.kind, done: elapsedMs / TICK_MS, total: 4 } });
    } else {
      this.change(
        id,
        request.kind === 'recommend' ? { recommendation: RECOMMENDED } : { exported: exportedOf(request) },
      );
      this.end(id, 'done');
    }
  }

  private end(id: string, state: Job['state']): void {
    clearInterval(this.timers.get(id));
    const { progress, ...job } = this.found(id);
    this.list = this.list.map((each) => (each.id === id ? { ...job, state } : each));
    this.options.tell(this.list);
    const { run, results = [], elapsedMs, command } = job;
    if (run === undefined) return;
    const policy = /F\dC\d|blocks2|full/.exec(run)?.[0] ?? 'F1C1';
    const top1 = results.at(-1)?.top1 ?? 0.5;
    this.options.finished({
      ...{ name: run, at: Date.UTC(2026, 10, 30), policy, model: 'efficientnet_b0', epochs: results.length, top1 },
      ...{ interval: [top1 - 0.05, top1 + 0.04], elapsedMs, peakRssBytes: 9.4e8, notes: command.slice(0, 0) },
      ...{ stopped: state === 'stopped' },
    });
  }
}

const RECOMMENDED: NonNullable<Job['recommendation']> = {
  policy: 'F1C1',
  reason: 'it is expected to lose 0.4 points against the best, in a third of the time',
  policies: [
    {
      policy: 'F1C0',
      top1: 0.88,
      interval: [0.85, 0.91],
      predictedMs: 12_000,
      memoryBytes: 6e8,
      verdict: 'loses 4 points',
    },
    { policy: 'F1C1', top1: 0.92, interval: [0.9, 0.94], predictedMs: 40_000, memoryBytes: 9e8, verdict: 'chosen' },
    {
      policy: 'F1C2',
      top1: 0.921,
      interval: [0.9, 0.945],
      predictedMs: 70_000,
      memoryBytes: 1e9,
      verdict: 'costs more',
    },
    {
      policy: 'full',
      top1: 0.924,
      interval: [0.89, 0.95],
      predictedMs: 900_000,
      memoryBytes: 4e9,
      verdict: 'costs more',
    },
  ],
};

function exportedOf(request: JobRequest): NonNullable<Job['exported']> {
  const form = request.kind === 'export' ? request.form : 'fp32';
  return { name: `first-${form}.onnx`, bytes: 16_300_000, agreement: 0.996, photos: 256, top1: 0.91, latencyMs: 14.2 };
}
