import { rmSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { openDataset } from '../data/openDataset.js';
import { drawPictures } from '../data/pictures.js';
import { findMeter, type IdleBaseline, measureIdle, type MeterAccess } from '../energy/meter.js';
import { messageOf, UserError } from '../errors.js';
import { fileReason, MOST_BYTES, readRegularFile, sha256 } from '../files.js';
import { checkRunFolder, moveRun } from '../train/runFiles.js';
import { describeMachine, type Machine } from './machine.js';
import { measureCommand, type Measurement } from './measureCommand.js';
import { Records } from './records.js';
import { resultOfRun, type RunResult, runResultSchema } from './runResult.js';
import { meanOf, median } from './statistics.js';
import { photosOf, type Suite, type SuiteData, type SuiteRow, type TrainSettings } from './suite.js';
import { RUN, SuiteFolder, type WorkFolder } from './suiteFolder.js';
import type { RunOutcome, SuiteResults } from './suiteResults.js';
import { cellOf, chosenRuns, runsOf, type SuiteRun } from './suiteRuns.js';

export interface SuiteSessionOptions {
  /** How ort-tl is called: a program and its first arguments. */
  readonly command: readonly string[];
  /** Folder for results; made if need be. */
  readonly out: string;
  /** Which runs: comma-separated parts, each words between slashes, all of which must be in a run's name. */
  readonly only?: string;
  /** Where the counters of RAPL are; see `MeterOptions`. */
  readonly powercap?: string;
  /** Keeps the folder of each training, below `runs/`. */
  readonly keepRuns?: boolean;
  /** Ends the training under way, and the suite. */
  readonly signal?: AbortSignal;
}

export type SuiteEvent =
  | { readonly type: 'drawing'; readonly data: string; readonly done: number; readonly total: number }
  | { readonly type: 'idle'; readonly seconds: number }
  | { readonly type: 'preparing'; readonly what: string }
  | {
      readonly type: 'run';
      readonly run: SuiteRun;
      /** From 1 on, of `total` that are to be made now. */
      readonly place: number;
      readonly total: number;
      /** How long it is expected to take; undefined where nothing of its kind has been measured. */
      readonly expectedSeconds: number | undefined;
      /** Time that this run and those behind it will take. */
      readonly leftSeconds: number | undefined;
    }
  | { readonly type: 'ran'; readonly run: SuiteRun; readonly result: RunResult }
  | { readonly type: 'failed'; readonly run: SuiteRun; readonly error: string };

/** How long a run will take, and how that is known. */
export interface Forecast {
  readonly run: SuiteRun;
  readonly seconds: number | undefined;
  readonly basis: 'finished' | 'measured before' | 'probe' | 'failed';
  readonly error?: string;
}

/** What a run left on standard error that is kept for the reason of its failure. */
const LAST_LINES = 20;

/** The runs of a suite and what is known of them, in a folder that is gone on with whenever it is opened again. */
export class SuiteSession {
  private readonly settings = new Map<string, string>();
  private readonly cached = new Set<string>();
  private work: WorkFolder | undefined;
  private idle: IdleBaseline | undefined;

  private constructor(
    readonly suite: Suite,
    private readonly options: SuiteSessionOptions,
    readonly runs: readonly SuiteRun[],
    private readonly all: readonly SuiteRun[],
    private readonly folder: SuiteFolder,
    private readonly records: Records,
    private readonly machine: Machine,
    private readonly access: MeterAccess,
  ) {}

  /**
   * @throws UserError `no-runs` when nothing can be run, or nothing is what `only` asks for, `folder-in-use`, `foreign-files`,
   * `write-failed`, and what `findMeter` throws.
   */
  static async open(suite: Suite, options: SuiteSessionOptions): Promise<SuiteSession> {
    const all = runsOf(suite);
    if (all.length === 0) {
      const reasons = [...new Set(suite.rows.flatMap(({ missing }) => missing ?? []))];
      throw new UserError('no-runs', `nothing of ${suite.file} can be run: ${reasons.join('; ')}`);
    }
    const runs = chosenRuns(all, options.only);
    if (runs.length === 0)
      throw new UserError(
        'no-runs',
        `no run is called ${options.only ?? ''} (--only); runs are called such as ${all[0]?.id ?? ''}`,
      );
    const out = resolve(options.out);
    const folder = await SuiteFolder.open(out);
    try {
      if (options.keepRuns) for (const run of runs) checkRunFolder(placeOf(out, run), { overwrite: true });
      const access = await meterOf(suite, options);
      const records = Records.open(folder.records);
      return new SuiteSession(suite, { ...options, out }, runs, all, folder, records, describeMachine(), access);
    } catch (thrown) {
      folder.close();
      throw thrown;
    }
  }

  /** Lets go of the folder. */
  close(): void {
    this.folder.close();
  }

  /**
   * Draws the photos that are drawn and needed, and learns what identifies every run. To be called before all else.
   * @throws UserError `stopped` when the signal fires while it draws.
   */
  async *prepare(): AsyncGenerator<SuiteEvent> {
    for (const data of new Map(this.runs.map(({ row }) => [row.data.name, row.data])).values()) {
      if (!data.drawn) continue;
      const { train, val, size, seed } = data.drawn;
      const events: SuiteEvent[] = [];
      const given = new AbortController();
      const { signal } = this.options;
      const drawing = drawPictures(photosOf(data, this.options.out), {
        ...{ set: 'demo', trainPerClass: train, valPerClass: val, size, seed },
        signal: signal ? AbortSignal.any([signal, given.signal]) : given.signal,
        onProgress: (done, total) => {
          events.push({ type: 'drawing', data: data.name, done, total });
        },
      });
      let isDone = false;
      const ended = drawing.finally(() => (isDone = true));
      // Who does not wait for it yet must not miss that it fails.
      ended.catch(() => undefined);
      try {
        while (!isDone) {
          await Promise.race([ended, new Promise((wake) => setTimeout(wake, 100))]);
          const last = events.pop();
          if (last) yield last;
          events.length = 0;
        }
      } finally {
        // Who looks no longer at how far it is wants no pictures either.
        given.abort();
      }
      await ended;
    }
    const contents = new Map<string, string>();
    for (const { row } of this.all) {
      const key = `${row.model.name} ${row.data.name}`;
      if (!contents.has(key)) contents.set(key, `${await modelContent(row)} ${await this.photosContent(row.data)}`);
    }
    for (const run of this.all) {
      const { row } = run;
      const decides = [
        this.machine,
        this.access.kind === 'meter' ? this.access.describe : 'no energy',
        contents.get(`${row.model.name} ${row.data.name}`),
        Object.entries(settingsOf(row)).sort(([a], [b]) => (a < b ? -1 : 1)),
      ];
      this.settings.set(run.id, sha256(Buffer.from(JSON.stringify(decides))).slice(0, 16));
    }
  }

  /** Runs that are still to be made; what failed is tried again. */
  get left(): SuiteRun[] {
    return this.runs.filter((run) => !this.records.isDone(this.keyOf(run)));
  }

  /** Makes the runs that are left, one after another. */
  async *run(): AsyncGenerator<SuiteEvent> {
    const left = this.left;
    if (left.length === 0) return;
    const work = (this.work = this.folder.makeWork());
    try {
      yield* this.measureIdle();
      if (this.suite.warmUp) yield* this.warmUp(left);
      for (const [index, run] of left.entries()) {
        if (this.isStopped()) return;
        if (run.cache === 'warm') yield* this.fillCache(run);
        if (this.isStopped()) return;
        yield {
          ...{ type: 'run', run, place: index + 1, total: left.length },
          expectedSeconds: this.expectedSeconds(run),
          leftSeconds: this.secondsOf(left.slice(index)),
        };
        const outcome = await this.train(run, settingsOf(run.row), run.cache);
        if (this.isStopped()) return;
        const key = { ...this.keyOf(run), at: new Date().toISOString() };
        if (typeof outcome === 'string') {
          this.records.add({ ...key, error: outcome });
          yield { type: 'failed', run, error: outcome };
        } else {
          this.records.add({ ...key, result: outcome });
          if (this.options.keepRuns) this.keep(run);
          yield { type: 'ran', run, result: outcome };
        }
      }
    } finally {
      await work.remove();
    }
  }

  /**
   * How long each run will take: as long as those of its kind that are finished took; where there are none, a short training of the same policy on a
   * few photos tells what reading, an epoch and all the rest take, which is what the number of photos and epochs is then multiplied with.
   */
  async *forecast(): AsyncGenerator<SuiteEvent, Forecast[]> {
    const work = (this.work = this.folder.makeWork());
    try {
      const forecasts: Forecast[] = [];
      for (const run of this.runs) {
        if (this.isStopped()) return forecasts;
        if (this.records.isDone(this.keyOf(run))) {
          forecasts.push({ run, seconds: 0, basis: 'finished' });
          continue;
        }
        const expected = this.finishedSeconds(run);
        if (expected === undefined) yield* this.probe(run);
        const { error } = this.records.find(this.probeKey(run)) ?? {};
        forecasts.push(
          expected === undefined
            ? {
                run,
                seconds: this.probedSeconds(run),
                ...(error === undefined ? { basis: 'probe' } : { basis: 'failed', error }),
              }
            : { run, seconds: expected, basis: 'measured before' },
        );
      }
      return forecasts;
    } finally {
      await work.remove();
    }
  }

  /** What is known of all runs of the suite, those that `only` leaves out too. */
  get results(): SuiteResults {
    const outcomes = this.all.map((run): RunOutcome => {
      const record = this.records.find(this.keyOf(run));
      const result = record?.result && runResultSchema.parse(record.result);
      return { run, result, error: record?.error, at: record?.at };
    });
    const known = new Set(this.all.flatMap((run) => [this.keyOf(run), this.probeKey(run)]).map(textOf));
    return {
      suite: this.suite,
      machine: this.machine,
      energy: this.access.kind === 'meter' ? this.access.describe : `not measured: ${this.access.reason}`,
      outcomes,
      otherRecords: this.records.entries.filter((each) => !known.has(textOf(each))).length,
    };
  }

  private isStopped(): boolean {
    return this.options.signal?.aborted ?? false;
  }

  private keyOf(run: SuiteRun) {
    return { id: run.id, round: run.round, setting: this.settings.get(run.id) ?? '' };
  }

  private probeKey({ row, policy, id }: SuiteRun) {
    return { id: `probe/${row.name}/${policy}`, round: 1, setting: this.settings.get(id) ?? '' };
  }

  private async photosContent(data: SuiteData): Promise<string> {
    if (data.drawn) return JSON.stringify(data.drawn);
    const place = photosOf(data, this.options.out);
    try {
      const { classes, train, val, folder } = await openDataset(place, { seed: 0 });
      const names = [train, val].map((photos) => photos.map(({ path, label }) => [relative(folder, path), label]));
      return sha256(Buffer.from(JSON.stringify([classes, names])));
    } catch (thrown) {
      // Each run will say so.
      if (thrown instanceof UserError) return thrown.message;
      throw thrown;
    }
  }

  private async *measureIdle(): AsyncGenerator<SuiteEvent> {
    const { idle } = this.suite.energy;
    if (this.access.kind === 'none' || idle === 0 || this.suite.energy.source === 'estimate') return;
    yield { type: 'idle', seconds: idle };
    try {
      this.idle = await measureIdle(this.access.open(), idle, this.options.signal);
    } catch (thrown) {
      if (!this.isStopped()) throw thrown;
    }
  }

  /** Reads every photo once, and runs each model, so that the first runs find the machine as the last do. */
  private async *warmUp(left: readonly SuiteRun[]): AsyncGenerator<SuiteEvent> {
    const firsts = new Map(left.map((run) => [`${run.row.model.name} on ${run.row.data.name}`, run]));
    for (const [what, run] of firsts) {
      if (this.isStopped()) return;
      yield { type: 'preparing', what: `warm-up: ${what}` };
      const policy = run.row.policies[0] ?? run.policy;
      // One that fails will fail again where it counts.
      await this.train({ ...run, policy }, { ...settingsOf(run.row), ...NOTHING_BUT_READING }, 'cold');
    }
  }

  private async *fillCache(run: SuiteRun): AsyncGenerator<SuiteEvent> {
    // The same photos are read under every seed, but for those that a limit takes from a part drawn by it, and for views.
    const isSeeded = ['limit', 'val-limit', 'views'].some((each) => each in run.row.train);
    const key = `${cellOf(run)} ${isSeeded ? run.seed : ''}`;
    if (this.cached.has(key)) return;
    yield { type: 'preparing', what: `filling the cache for ${run.id}` };
    await this.train(run, { ...settingsOf(run.row), ...NOTHING_BUT_READING }, 'warm');
    this.cached.add(key);
  }

  /** Trains in a process of its own. Gives what it gave and cost, or why it failed. */
  private async train(
    run: SuiteRun,
    settings: TrainSettings,
    cache: 'cold' | 'warm' | 'none',
  ): Promise<RunResult | string> {
    const { command, out, signal } = this.options;
    const folder = this.inWork(RUN);
    const cacheFolder = this.inWork(`${cache}-cache`);
    rmSync(folder, { recursive: true, force: true });
    if (cache === 'cold') rmSync(cacheFolder, { recursive: true, force: true });
    const flags = Object.entries({
      ...settings,
      model: run.row.model.path,
      data: photosOf(run.row.data, out),
      policy: run.policy,
      seed: run.seed,
      out: folder,
      json: true,
    }).map(([name, value]) => `--${name}=${value}`);
    const lastLines: string[] = [];
    const { access, idle } = this;
    let measured: Measurement;
    try {
      measured = await measureCommand(
        [...command, 'train', ...flags, cache === 'none' ? '--no-cache' : `--cache=${cacheFolder}`],
        {
          ...(access.kind === 'meter' ? { meter: access.open() } : { noMeter: access.reason }),
          ...(idle ? { idle } : {}),
          ...(signal ? { signal } : {}),
          env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
          stdio: 'ignore',
          endsWithUs: true,
          onLine: (line, stream) => {
            if (stream === 'stdout' || line.trim() === '') return;
            lastLines.push(line.replace(/^ort-tl: /, ''));
            lastLines.splice(0, lastLines.length - LAST_LINES);
          },
        },
      );
    } finally {
      if (cache === 'cold') rmSync(cacheFolder, { recursive: true, force: true });
    }
    try {
      if (measured.exitCode !== 0) {
        const { signal: by, exitCode } = measured;
        if (by === 'SIGKILL') return 'ended by SIGKILL, probably for lack of memory';
        return by ? `ended by ${by}` : (lastLines.at(-1) ?? `exit code ${exitCode}, and no reason`);
      }
      return resultOfRun(folder, measured);
    } catch (thrown) {
      return `the training left no result that can be read: ${messageOf(thrown)}`;
    }
  }

  /** Moves the folder of the run just made below `runs/`. */
  private keep(run: SuiteRun): void {
    moveRun(this.inWork(RUN), placeOf(this.options.out, run));
  }

  private inWork(name: string): string {
    if (!this.work) throw new Error('the suite has no folder to work in');
    return join(this.work.path, name);
  }

  private expectedSeconds(run: SuiteRun): number | undefined {
    return this.finishedSeconds(run) ?? this.probedSeconds(run);
  }

  /** What the finished runs of the same cell took. */
  private finishedSeconds(run: SuiteRun): number | undefined {
    const { setting } = this.keyOf(run);
    const cell = cellOf(run);
    const seconds = this.all.flatMap((other) => {
      if (cellOf(other) !== cell || this.keyOf(other).setting !== setting) return [];
      const { result } = this.records.find(this.keyOf(other)) ?? {};
      return result ? runResultSchema.parse(result).wallSeconds : [];
    });
    return seconds.length > 0 ? median(seconds) : undefined;
  }

  /** Time of all of `runs`; those of which nothing is known count as the others do on average. */
  private secondsOf(runs: readonly SuiteRun[]): number | undefined {
    const known = runs.flatMap((run) => this.expectedSeconds(run) ?? []);
    return known.length === 0 ? undefined : meanOf(known) * runs.length;
  }

  /** A short training of a run's policy. */
  private async *probe(run: SuiteRun): AsyncGenerator<SuiteEvent> {
    const key = this.probeKey(run);
    if (this.records.isDone(key)) return;
    yield { type: 'preparing', what: `probe: ${run.row.name}, ${run.policy}` };
    const settings = settingsOf(run.row);
    const { train, val, classes } = await openDataset(photosOf(run.row.data, this.options.out), openOptions(run)).catch(
      () => ({ train: [], val: [], classes: [] }),
    );
    const batch = Number(settings['batch'] ?? DEFAULT_BATCH);
    const limit = Math.max(1, Math.ceil((PROBE_BATCHES * batch) / Math.max(1, classes.length)));
    const valLimit = Math.max(1, Math.round((limit * val.length) / Math.max(1, train.length)));
    const outcome = await this.train(run, { ...settings, limit, 'val-limit': valLimit, epochs: 2, verify: 0 }, 'none');
    if (this.isStopped()) return;
    const at = new Date().toISOString();
    if (typeof outcome === 'string') this.records.add({ ...key, at, error: outcome });
    else this.records.add({ ...key, at, result: { ...outcome, allPhotos: train.length + val.length } });
  }

  private probedSeconds(run: SuiteRun): number | undefined {
    const { result } = this.records.find(this.probeKey(run)) ?? {};
    if (!result) return undefined;
    const { curve, wallSeconds, trainPhotos, valPhotos } = runResultSchema.parse(result);
    const [first, second] = curve;
    if (!first || !second) return undefined;
    const times = Number(result['allPhotos']) / (trainPhotos + valPhotos);
    const epochs = Number(run.row.train['epochs'] ?? DEFAULT_EPOCHS);
    const reading = run.cache === 'cold' ? Math.max(0, first.computeSeconds - second.computeSeconds) : 0;
    const writing = Math.max(0, second.seconds - first.seconds - second.computeSeconds);
    return wallSeconds - second.seconds + times * reading + epochs * (times * second.computeSeconds + writing);
  }
}

function meterOf(
  { energy: { source: energy, watts } }: Suite,
  { powercap }: SuiteSessionOptions,
): Promise<MeterAccess> {
  return findMeter({
    energy,
    ...(watts === undefined ? {} : { watts }),
    ...(powercap === undefined ? {} : { powercap }),
  });
}

/** Where the folder of a run is kept. */
const placeOf = (out: string, { id, round }: SuiteRun) =>
  join(out, 'runs', ...id.split('/'), ...(round > 1 ? [`round-${round}`] : []));

/** The default of `ort-tl train`. */
const DEFAULT_EPOCHS = 10;
const DEFAULT_BATCH = 32;
/** Steps of an epoch of a probe. */
const PROBE_BATCHES = 2;
/** Ends a training as soon as all photos are read. */
const NOTHING_BUT_READING = { 'time-limit': '1ms', verify: 0 } as const;

/** The exported model is not run again unless the suite says so: that is no part of what training costs. */
const settingsOf = ({ train }: SuiteRow): TrainSettings => ({ verify: 0, ...train });

const textOf = ({ id, round, setting }: { id: string; round: number; setting: string }) => `${id} ${round} ${setting}`;

function openOptions({ row: { train }, seed }: SuiteRun) {
  const [fraction, limit, valLimit] = ['val-fraction', 'limit', 'val-limit'].map((each) => train[each]);
  return {
    seed,
    ...(fraction === undefined ? {} : { valFraction: Number(fraction) }),
    ...(limit === undefined ? {} : { limit: Number(limit) }),
    ...(valLimit === undefined ? {} : { valLimit: Number(valLimit) }),
  };
}

async function modelContent({ model }: SuiteRow): Promise<string> {
  try {
    return sha256(await readRegularFile(model.path, MOST_BYTES.file));
  } catch (thrown) {
    // Each run will say so.
    return fileReason(thrown);
  }
}
