import { resolve } from 'node:path';
import { findMeter, type IdleBaseline, measureIdle, type MeterAccess } from '../energy/meter.js';
import { UserError } from '../errors.js';
import type { Shard } from '../shard.js';
import { checkRunFolder } from '../train/runFiles.js';
import { drawData } from './drawData.js';
import { KnownRuns } from './knownRuns.js';
import { describeMachine, kindOfMachine, type Machine } from './machine.js';
import { probeSettings } from './probeSettings.js';
import { Records } from './records.js';
import { estimatesOf } from './runEstimate.js';
import { type RunSettings, settingsOfRuns, trainSettingsOf } from './settingsOfRuns.js';
import { checkShard, readMerged, writeShard } from './shardFile.js';
import type { Suite } from './suite.js';
import type { Forecast, SuiteEvent } from './suiteEvents.js';
import { SuiteFolder } from './suiteFolder.js';
import { partOf } from './suitePart.js';
import type { SuiteResults } from './suiteResults.js';
import { cellOf, chosenRuns, runsOf, type SuiteRun } from './suiteRuns.js';
import { keptFolderOf, SuiteTrainer, type TrainerOptions } from './suiteTrainer.js';

export interface SuiteSessionOptions extends TrainerOptions {
  /** Which runs: comma-separated parts, each words between slashes, all of which must be in a run's name. */
  readonly only?: string;
  /** Makes one part of these runs alone. The parts are the same on every machine, and {@link mergeShards} joins them. */
  readonly shard?: Shard;
  /** Where the counters of RAPL are; see `MeterOptions`. */
  readonly powercap?: string;
  /** Keeps the folder of each training, below `runs/`. */
  readonly keepRuns?: boolean;
}

/** What a session has taken and found out when it begins. */
interface Beginning {
  readonly options: SuiteSessionOptions;
  readonly folder: SuiteFolder;
  readonly records: Records;
  readonly machine: Machine;
  readonly access: MeterAccess;
}

/** Ends a training as soon as all photos are read. */
const NOTHING_BUT_READING = { 'time-limit': '1ms', verify: 0 } as const;

/** The runs of a suite and what is known of them, in a folder that is gone on with whenever it is opened again. */
export class SuiteSession {
  private settings: RunSettings = new Map();
  private known: KnownRuns;
  private chosen: readonly SuiteRun[];

  /**
   * @param asked the runs that are asked for, of all parts where there are several.
   * @param all the runs of the suite, those too that are not to be made.
   */
  private constructor(
    readonly suite: Suite,
    private readonly asked: readonly SuiteRun[],
    private readonly all: readonly SuiteRun[],
    private readonly at: Beginning,
  ) {
    this.chosen = asked;
    this.known = this.knownOf(all);
  }

  /**
   * @throws UserError `no-runs` when nothing can be run, or nothing is what `only` asks for, `folder-in-use`, `foreign-files`,
   * `write-failed`, `other-shard`, `bad-shard`, and what `findMeter` throws.
   */
  static async open(suite: Suite, options: SuiteSessionOptions): Promise<SuiteSession> {
    const all = runsOf(suite);
    const asked = runsAskedFor(suite, all, options.only);
    const out = resolve(options.out);
    const folder = await SuiteFolder.open(out);
    try {
      checkShard(out, options.shard);
      if (options.keepRuns) for (const run of asked) checkRunFolder(keptFolderOf(out, run), { overwrite: true });
      const access = await meterOf(suite, options);
      const records = Records.open(folder.records);
      const at = { options: { ...options, out }, folder, records, machine: describeMachine(), access };
      return new SuiteSession(suite, asked, all, at);
    } catch (thrown) {
      folder.close();
      throw thrown;
    }
  }

  /** Lets go of the folder. */
  close(): void {
    this.at.folder.close();
  }

  /**
   * Draws the photos that are drawn and needed, and learns what each run depends on. To be called before all else.
   * @throws UserError `stopped` when the signal fires while it draws.
   */
  async *prepare(): AsyncGenerator<SuiteEvent> {
    const { options, machine, access } = this.at;
    const { out, shard, signal } = options;
    if (shard) this.chosen = partOf(this.asked, await estimatesOf(this.asked, out), shard);
    for (const data of new Map(this.runs.map(({ row }) => [row.data.name, row.data])).values())
      yield* drawData(data, out, signal);
    this.settings = await settingsOfRuns(this.all, { machine, access, out });
    this.known = this.knownOf(shard ? this.runs : this.all);
  }

  /** Runs that are to be made, or are finished: those of one part, as soon as `prepare` has found out which these are. */
  get runs(): readonly SuiteRun[] {
    return this.chosen;
  }

  /** Runs that are still to be made; what failed is tried again. */
  get left(): SuiteRun[] {
    return this.runs.filter((run) => !this.known.isDone(run));
  }

  /** Makes the runs that are left, one after another. */
  async *run(): AsyncGenerator<SuiteEvent> {
    const { left } = this;
    const { options, folder, access } = this.at;
    await this.describeShard();
    if (left.length === 0) return;
    const work = folder.makeWork();
    try {
      const trainer = new SuiteTrainer(options, work, access, yield* this.measureIdle());
      if (this.suite.warmUp) yield* this.warmUp(trainer, left);
      const filled = new Set<string>();
      for (const [index, run] of left.entries()) {
        if (this.isStopped()) return;
        if (run.cache === 'warm') yield* fillCache(trainer, run, filled);
        if (this.isStopped()) return;
        yield {
          ...{ type: 'run', run, place: index + 1, total: left.length },
          expectedSeconds: this.known.expectedSeconds(run),
          leftSeconds: this.known.secondsOf(left.slice(index)),
        };
        const outcome = await trainer.train(run, trainSettingsOf(run.row), run.cache);
        if (this.isStopped()) return;
        this.known.add(run, outcome);
        if (typeof outcome === 'string') yield { type: 'failed', run, error: outcome };
        else {
          if (options.keepRuns) trainer.keep(run);
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
    const { options, folder, access } = this.at;
    const work = folder.makeWork();
    try {
      const trainer = new SuiteTrainer(options, work, access);
      const forecasts: Forecast[] = [];
      for (const run of this.runs) {
        if (this.isStopped()) break;
        forecasts.push(yield* this.forecastOf(run, trainer));
      }
      return forecasts;
    } finally {
      await work.remove();
    }
  }

  /** What is known of all runs of the suite, those that `only` leaves out too. */
  get results(): SuiteResults {
    return {
      suite: this.suite,
      machine: this.at.machine,
      energy: this.energy,
      outcomes: this.known.outcomes,
      otherRecords: this.known.otherRecords,
    };
  }

  private get energy(): string {
    const { access } = this.at;
    return access.kind === 'meter' ? access.describe : `not measured: ${access.reason}`;
  }

  private knownOf(runs: readonly SuiteRun[]): KnownRuns {
    const { machine, access, records, options } = this.at;
    return new KnownRuns(records, runs, this.settings, {
      machine: kindOfMachine(machine, access.kind === 'meter' ? access.describe : undefined),
      // A part may be gone on with on another machine of its cluster.
      countsOthers: options.shard !== undefined || readMerged(options.out) !== undefined,
    });
  }

  /** Says in the folder which part it holds, before anything of it is made. */
  private async describeShard(): Promise<void> {
    const { suite, settings, energy, asked: all, chosen: part } = this;
    const { options, machine } = this.at;
    if (options.shard)
      await writeShard(options.out, { suite, shard: options.shard, all, part, settings, machine, energy });
  }

  private isStopped(): boolean {
    return this.at.options.signal?.aborted ?? false;
  }

  /** What the machine draws when it does nothing; undefined where that is not to be known. */
  private async *measureIdle(): AsyncGenerator<SuiteEvent, IdleBaseline | undefined> {
    const { access, options } = this.at;
    const { idle, source } = this.suite.energy;
    if (access.kind === 'none' || idle === 0 || source === 'estimate') return undefined;
    yield { type: 'idle', seconds: idle };
    try {
      return await measureIdle(access.open(), idle, options.signal);
    } catch (thrown) {
      if (!this.isStopped()) throw thrown;
      return undefined;
    }
  }

  /** Reads every photo once, and runs each model, so that the first runs find the machine as the last do. */
  private async *warmUp(trainer: SuiteTrainer, left: readonly SuiteRun[]): AsyncGenerator<SuiteEvent> {
    const firsts = new Map(left.map((run) => [`${run.row.model.name} on ${run.row.data.name}`, run]));
    for (const [what, run] of firsts) {
      if (this.isStopped()) return;
      yield { type: 'preparing', what: `warm-up: ${what}` };
      const policy = run.row.policies[0] ?? run.policy;
      // One that fails will fail again where it counts.
      await trainer.train({ ...run, policy }, { ...trainSettingsOf(run.row), ...NOTHING_BUT_READING }, 'cold');
    }
  }

  private async *forecastOf(run: SuiteRun, trainer: SuiteTrainer): AsyncGenerator<SuiteEvent, Forecast> {
    if (this.known.isDone(run)) return { run, seconds: 0, basis: 'finished' };
    const seconds = this.known.finishedSeconds(run);
    if (seconds !== undefined) return { run, seconds, basis: 'measured before' };
    yield* this.probe(run, trainer);
    const error = this.known.probeError(run);
    return {
      run,
      seconds: this.known.probedSeconds(run),
      ...(error === undefined ? { basis: 'probe' } : { basis: 'failed', error }),
    };
  }

  /** A short training of a run's policy. */
  private async *probe(run: SuiteRun, trainer: SuiteTrainer): AsyncGenerator<SuiteEvent> {
    if (this.known.isProbed(run)) return;
    yield { type: 'preparing', what: `probe: ${run.row.name}, ${run.policy}` };
    const { settings, allPhotos } = await probeSettings(run, this.at.options.out);
    const outcome = await trainer.train(run, settings, 'none');
    if (this.isStopped()) return;
    this.known.addProbe(run, typeof outcome === 'string' ? outcome : { ...outcome, allPhotos });
  }
}

/** @throws UserError `no-runs`. */
function runsAskedFor(suite: Suite, all: readonly SuiteRun[], only: string | undefined): SuiteRun[] {
  if (all.length === 0) {
    const reasons = [...new Set(suite.rows.flatMap(({ missing }) => missing ?? []))];
    throw new UserError(
      'no-runs',
      `nothing of ${suite.file} can be run: ${reasons.join('; ')}; name other places (‹model›, ‹data›)`,
    );
  }
  const runs = chosenRuns(all, only);
  if (runs.length === 0)
    throw new UserError(
      'no-runs',
      `no run is called ${only ?? ''} (‹only›); runs are called such as ${all[0]?.id ?? ''}`,
    );
  return runs;
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

/** Fills the cache that a run is to find full, unless it is one of those `filled` already, to which it is then added. */
async function* fillCache(trainer: SuiteTrainer, run: SuiteRun, filled: Set<string>): AsyncGenerator<SuiteEvent> {
  // The same photos are read under every seed, but for those that a limit takes from a part drawn by it, and for views.
  const isSeeded = ['limit', 'val-limit', 'views'].some((each) => each in run.row.train);
  const key = `${cellOf(run)} ${isSeeded ? run.seed : ''}`;
  if (filled.has(key)) return;
  yield { type: 'preparing', what: `filling the cache for ${run.id}` };
  await trainer.train(run, { ...trainSettingsOf(run.row), ...NOTHING_BUT_READING }, 'warm');
  filled.add(key);
}
