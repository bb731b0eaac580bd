import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { IdleBaseline, MeterAccess } from '../energy/meter.js';
import { messageOf } from '../errors.js';
import { moveRun } from '../train/runFiles.js';
import type { Measurement } from './command/measurement.js';
import { measureCommand } from './measureCommand.js';
import { resultOfRun, type RunResult } from './runResult.js';
import { photosOf, type TrainSettings } from './suite.js';
import { RUN, type WorkFolder } from './suiteFolder.js';
import type { SuiteRun } from './suiteRuns.js';

export interface TrainerOptions {
  /** How ort-tl is called: a program and its first arguments. */
  readonly command: readonly string[];
  /** The folder of the suite. */
  readonly out: string;
  /** Ends the training under way. */
  readonly signal?: AbortSignal;
}

/** How many of the last lines that a run left on standard error are kept for the reason of its failure. */
const LAST_LINES = 20;

/** Trains in a process of its own, one training after another, and measures each. */
export class SuiteTrainer {
  constructor(
    private readonly options: TrainerOptions,
    private readonly work: WorkFolder,
    private readonly access: MeterAccess,
    private readonly idle?: IdleBaseline,
  ) {}

  /** Gives what the training gave and cost, or why it failed. */
  async train(run: SuiteRun, settings: TrainSettings, cache: 'cold' | 'warm' | 'none'): Promise<RunResult | string> {
    const folder = join(this.work.path, RUN);
    const cacheFolder = join(this.work.path, `${cache}-cache`);
    rmSync(folder, { recursive: true, force: true });
    if (cache === 'cold') rmSync(cacheFolder, { recursive: true, force: true });
    const flags = flagsOf({
      ...settings,
      model: run.row.model.path,
      data: photosOf(run.row.data, this.options.out),
      policy: run.policy,
      seed: run.seed,
      out: folder,
      json: true,
    });
    const lastLines: string[] = [];
    let measured: Measurement;
    try {
      measured = await this.measure([...flags, cache === 'none' ? '--no-cache' : `--cache=${cacheFolder}`], lastLines);
    } finally {
      if (cache === 'cold') rmSync(cacheFolder, { recursive: true, force: true });
    }
    if (measured.exitCode !== 0) return failureOf(measured, lastLines);
    try {
      return resultOfRun(folder, measured);
    } catch (thrown) {
      return `the training left no result that can be read: ${messageOf(thrown)}`;
    }
  }

  /** Moves the folder of the run just made to where it is kept. */
  keep(run: SuiteRun): void {
    moveRun(join(this.work.path, RUN), keptFolderOf(this.options.out, run));
  }

  /** What the training says last on standard error goes into `lastLines`. */
  private measure(flags: readonly string[], lastLines: string[]): Promise<Measurement> {
    const { options, access, idle } = this;
    return measureCommand([...options.command, 'train', ...flags], {
      ...(access.kind === 'meter' ? { meter: access.open() } : { noMeter: access.reason }),
      ...(idle ? { idle } : {}),
      ...(options.signal ? { signal: options.signal } : {}),
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
      stdio: 'ignore',
      endsWithUs: true,
      onLine: (line, stream) => {
        if (stream === 'stdout' || line.trim() === '') return;
        lastLines.push(line.replace(/^ort-tl: /, ''));
        lastLines.splice(0, lastLines.length - LAST_LINES);
      },
    });
  }
}

const flagsOf = (settings: TrainSettings): string[] =>
  Object.entries(settings).map(([name, value]) => `--${name}=${value}`);

function failureOf({ signal, exitCode }: Measurement, lastLines: readonly string[]): string {
  if (signal === 'SIGKILL') return 'ended by SIGKILL, probably for lack of memory';
  return signal ? `ended by ${signal}` : (lastLines.at(-1) ?? `exit code ${exitCode}, and no reason`);
}

/** Where the folder of a run is kept, below the suite's. */
export const keptFolderOf = (out: string, { id, round }: SuiteRun): string =>
  join(out, 'runs', ...id.split('/'), ...(round > 1 ? [`round-${round}`] : []));
