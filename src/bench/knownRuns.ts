import type { MeasurementRecord, Records } from './records.js';
import { type RunResult, runResultSchema } from './runResult.js';
import type { RunSettings } from './settingsOfRuns.js';
import { meanOf, median } from './statistics.js';
import type { RunOutcome } from './suiteResults.js';
import { readTrainFlags } from '../train/trainOptions.js';
import { cellOf, type SuiteRun } from './suiteRuns.js';

type Key = Pick<MeasurementRecord, 'id' | 'round' | 'setting' | 'content'>;

/** Where runs are made, and whether those made elsewhere count. */
export interface Place {
  /** The kind of this machine. */
  readonly machine: string;
  /** Whether what other machines have finished need not be made again here. */
  readonly countsOthers: boolean;
}

/** A short training that tells how long others will take. `allPhotos`: how many those would read. */
export type Probe = RunResult & { readonly allPhotos: number };

/** What was measured of a suite's runs, under the settings that they have now. */
export class KnownRuns {
  constructor(
    private readonly records: Records,
    private readonly runs: readonly SuiteRun[],
    private readonly settings: RunSettings,
    private readonly place: Place,
  ) {}

  /** What failed is not done: it is tried again. */
  isDone(run: SuiteRun): boolean {
    return this.records.isDone(this.keyOf(run));
  }

  isProbed(run: SuiteRun): boolean {
    return this.records.isDone(this.probeKey(run));
  }

  /** Why the probe of a run's kind failed, if it did. */
  probeError(run: SuiteRun): string | undefined {
    return this.records.find(this.probeKey(run))?.error;
  }

  /** Keeps what a training gave, or why it failed. */
  add(run: SuiteRun, outcome: RunResult | string): void {
    this.keep({ ...this.keyOf(run), content: this.settings.get(run.id)?.content }, outcome);
  }

  addProbe(run: SuiteRun, outcome: Probe | string): void {
    this.keep(this.probeKey(run), outcome);
  }

  /** What is known of each run. */
  get outcomes(): RunOutcome[] {
    return this.runs.map((run) => {
      const record = this.records.find(this.keyOf(run));
      const result = record?.result && runResultSchema.parse(record.result);
      return { run, result, error: record?.error, at: record?.at, machine: record?.machine ?? this.place.machine };
    });
  }

  /** How many records are of other settings, files or machines. */
  get otherRecords(): number {
    const known = new Set(this.runs.flatMap((run) => [this.keyOf(run), this.probeKey(run)]).flatMap(textsOf));
    return this.records.entries.filter((each) => !textsOf(each).some((text) => known.has(text))).length;
  }

  expectedSeconds(run: SuiteRun): number | undefined {
    return this.finishedSeconds(run) ?? this.probedSeconds(run);
  }

  /** Time of all of `runs`; one of which nothing is known counts as the others do on average. */
  secondsOf(runs: readonly SuiteRun[]): number | undefined {
    const known = runs.flatMap((run) => this.expectedSeconds(run) ?? []);
    return known.length === 0 ? undefined : meanOf(known) * runs.length;
  }

  /** What the finished runs of the same cell took. */
  finishedSeconds(run: SuiteRun): number | undefined {
    const setting = this.settings.get(run.id)?.setting;
    const cell = cellOf(run);
    const seconds = this.runs.flatMap((other) => {
      if (cellOf(other) !== cell) return [];
      const { result, setting: measured } = this.records.find(this.keyOf(other)) ?? {};
      // What another machine took says nothing of this one.
      return result && measured === setting ? runResultSchema.parse(result).wallSeconds : [];
    });
    return seconds.length > 0 ? median(seconds) : undefined;
  }

  /** How long a run will take by the short training of its policy: reading, an epoch and all the rest, as often as it has them. */
  probedSeconds(run: SuiteRun): number | undefined {
    const { result } = this.records.find(this.probeKey(run)) ?? {};
    if (!result) return undefined;
    const { curve, wallSeconds, trainPhotos, valPhotos } = runResultSchema.parse(result);
    const [first, second] = curve;
    if (!first || !second) return undefined;
    const times = Number(result['allPhotos']) / (trainPhotos + valPhotos);
    const { epochs } = readTrainFlags(run.row.train);
    const reading = run.cache === 'cold' ? Math.max(0, first.computeSeconds - second.computeSeconds) : 0;
    const writing = Math.max(0, second.seconds - first.seconds - second.computeSeconds);
    return wallSeconds - second.seconds + times * reading + epochs * (times * second.computeSeconds + writing);
  }

  private keep(key: Key, outcome: RunResult | string): void {
    const common = { ...key, machine: this.place.machine, at: new Date().toISOString() };
    this.records.add(typeof outcome === 'string' ? { ...common, error: outcome } : { ...common, result: outcome });
  }

  private keyOf({ id, round }: SuiteRun): Key {
    const { setting = '', content } = this.settings.get(id) ?? {};
    return { id, round, setting, ...(this.place.countsOthers ? { content } : {}) };
  }

  /** What a short training took says nothing of other machines. */
  private probeKey({ row, policy, id }: SuiteRun): Key {
    return { id: `probe/${row.name}/${policy}`, round: 1, setting: this.settings.get(id)?.setting ?? '' };
  }
}

/** By which a record is known: under its machine's setting, or by what is equal on all. */
const textsOf = ({ id, round, setting, content }: Key): string[] =>
  [setting, ...(content === undefined ? [] : [content])].map((text) => `${id} ${round} ${text}`);
