import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parse as parseCsv } from 'csv-parse/sync';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { messageOf, UserError } from '../../errors.js';
import { fileErrorCode, writeFileAtomically } from '../../files.js';
import { isLocked } from '../../lock.js';
import { wilson95 } from '../../index.js';
import type { EpochPoint, StudioRun, RunDetails } from '../api.js';
import { BinContents } from './binContents.js';
import { shellLine } from './commandOf.js';
import { energyOfRun } from './runEnergy.js';

/** Where the studio puts runs that were deleted; what begins with a dot is no run. */
const BIN = '.ort-tl-bin';
/** There they have the time at their ends. */
const BINNED = /-\d{13}$/;
const NOTES = 'notes.txt';
const MOST_NOTES = 20_000;

const summarySchema = z.object({
  policy: z.string(),
  epochs: z.number(),
  top1: z.number().optional(),
  elapsedMs: z.number(),
  peakRssBytes: z.number(),
  classes: z.array(z.string()),
  trainPhotos: z.number(),
  valPhotos: z.number(),
  warnings: z.array(z.string()).default([]),
  stopped: z.boolean(),
  perClass: z
    .array(z.object({ photos: z.number(), precision: z.number(), recall: z.number(), f1: z.number() }))
    .catch([]),
  cost: z.object({
    frozenMultiplyAdds: z.number(),
    forwardMultiplyAdds: z.number(),
    backwardMultiplyAdds: z.number(),
    trainingMemoryBytes: z.number(),
  }),
});
type RunSummary = z.infer<typeof summarySchema>;

const epochSchema = z.array(
  z.object({
    epoch: z.coerce.number(),
    trainLoss: z.coerce.number(),
    valLoss: z.coerce.number(),
    trainTop1: z.coerce.number().optional(),
    top1: z.coerce.number(),
    elapsedMs: z.coerce.number(),
  }),
);
type Epochs = z.infer<typeof epochSchema>;
const argumentsSchema = z.looseObject({ model: z.string(), policy: z.string().default('F1C1') });

/** What the folder of a run tells. */
export interface FoundRun {
  readonly run: StudioRun;
  readonly folder: string;
  /** Absent of a run that was killed, and never ended. */
  readonly summary: RunSummary | undefined;
}

/** The runs in a folder, whoever trained them. */
export class Runs {
  /** By the folder's name, with when its files were last changed. */
  private readonly known = new Map<string, { readonly stamp: string; readonly found: FoundRun }>();
  private names: readonly string[] = [];
  private readonly binned: BinContents;
  /** How much of the disk runs that were deleted take. */
  binBytes = 0;

  constructor(readonly folder: string) {
    this.binned = new BinContents(join(folder, BIN), BINNED);
  }

  /** The newest first, as they were when {@link refresh} looked last. */
  get list(): StudioRun[] {
    return this.all.map(({ run }) => run);
  }

  get all(): FoundRun[] {
    return this.names
      .flatMap((name) => this.known.get(name)?.found ?? [])
      .sort((a, b) => b.run.at - a.run.at || a.run.name.localeCompare(b.run.name));
  }

  /** Looks at the folder again; only what has changed is read. Gives whether anything has. */
  async refresh(): Promise<boolean> {
    const entries = await readdir(this.folder, { withFileTypes: true }).catch(() => []);
    const names: string[] = [];
    let isChanged = false;
    for (const entry of entries) {
      if (!entry.isDirectory() || entry.name.startsWith('.')) continue;
      const stamp = await this.stampOf(entry.name);
      if (stamp === undefined) continue;
      names.push(entry.name);
      if (this.known.get(entry.name)?.stamp === stamp) continue;
      this.known.set(entry.name, { stamp, found: await this.read(entry.name) });
      isChanged = true;
    }
    const binBytes = await this.binned.bytes();
    isChanged ||= names.length !== this.names.length || binBytes !== this.binBytes;
    this.binBytes = binBytes;
    this.names = names;
    for (const name of this.known.keys()) if (!names.includes(name)) this.known.delete(name);
    return isChanged;
  }

  /** @throws UserError `no-such-run`. */
  find(name: string): FoundRun {
    const found = this.names.includes(name) ? this.known.get(name)?.found : undefined;
    if (!found) throw new UserError('no-such-run', `there is no run \`${name}\` in ${this.folder}`);
    return found;
  }

  /** @throws UserError `no-such-run`. */
  async details(name: string): Promise<RunDetails> {
    const { run, folder, summary } = this.find(name);
    const results = await resultsOf(folder);
    return {
      ...run,
      command: shellLine(['npx', 'ort-tl', 'train', '--config', join(folder, 'args.yaml')]),
      results: results.map(({ elapsedMs, trainTop1, ...point }): EpochPoint => ({
        ...point,
        ...(trainTop1 === undefined || Number.isNaN(trainTop1) ? {} : { trainTop1 }),
      })),
      classes: (summary?.classes ?? []).map((each, index) => ({ name: each, photos: 0, ...summary?.perClass[index] })),
      warnings: summary?.warnings ?? [],
    };
  }

  /** How long a run's epochs after the first took, in the middle; undefined where there is none. */
  async laterEpochMs(found: FoundRun): Promise<number | undefined> {
    const times = (await resultsOf(found.folder))
      .slice(1)
      .map(({ elapsedMs }) => elapsedMs)
      .sort((a, b) => a - b);
    return times[Math.floor(times.length / 2)];
  }

  /** Keeps what somebody has to say of a run beside it. @throws UserError `no-such-run`, `bad-arguments`, `write-failed`. */
  async note(name: string, notes: string): Promise<void> {
    const { folder } = this.find(name);
    if (notes.length > MOST_NOTES)
      throw new UserError('bad-arguments', `expected notes of ${MOST_NOTES} characters at most`);
    await writeFileAtomically(join(folder, NOTES), notes);
    await this.refresh();
  }

  /** Moves a run out of sight, into a folder that holds what was deleted. @throws UserError `no-such-run`, `folder-in-use`, `write-failed`. */
  async remove(name: string): Promise<void> {
    const { folder } = this.find(name);
    if (isLocked(folder))
      throw new UserError('folder-in-use', `the run ${name} is being trained; stop it first, then delete it`);
    const bin = join(this.folder, BIN);
    try {
      await mkdir(bin, { recursive: true });
      await rename(folder, join(bin, `${name}-${Date.now()}`));
    } catch (cause) {
      throw new UserError('write-failed', `cannot delete ${folder}: ${messageOf(cause)}`, { cause });
    }
    await this.refresh();
  }

  /** Removes for good the runs that were deleted, and gives how many bytes that were. @throws UserError `write-failed`. */
  async emptyBin(): Promise<number> {
    const bytes = await this.binned.empty();
    await this.refresh();
    return bytes;
  }

  private async stampOf(name: string): Promise<string | undefined> {
    const stamps = await Promise.all(
      ['summary.json', 'results.csv', 'args.yaml', 'energy.json', NOTES].map((file) =>
        stat(join(this.folder, name, file)).then(
          ({ mtimeMs, size }) => `${mtimeMs}:${size}`,
          () => '',
        ),
      ),
    );
    return stamps.slice(0, 3).every((stamp) => stamp === '') ? undefined : stamps.join(' ');
  }

  /** What is damaged, or missing, is told of. */
  private async read(name: string): Promise<FoundRun> {
    const folder = join(this.folder, name);
    const faults: string[] = [];
    const part = async <Part>(file: string, parse: (text: string) => Part): Promise<Part | undefined> => {
      try {
        const text = await textOf(join(folder, file));
        return text === undefined ? undefined : parse(text);
      } catch {
        faults.push(`${file} is damaged`);
        return undefined;
      }
    };
    const summary = await part('summary.json', (text) => summarySchema.parse(JSON.parse(text)));
    const begun = await part('args.yaml', (text) => argumentsSchema.parse(parseYaml(text)));
    const results = (await part('results.csv', resultsIn)) ?? [];
    const notes = (await part(NOTES, (text) => text)) ?? '';
    const energy = await energyOfRun(folder);
    if (!summary && !begun && faults.length === 0) faults.push('summary.json and args.yaml are missing');
    const [at = 0] = await timesOf(folder, ['summary.json', 'args.yaml', 'results.csv']);
    const common = {
      ...{ name, at, model: basename(begun?.model ?? ''), notes },
      ...(energy ? { energyJ: energy.grossJ } : {}),
      ...(faults.length > 0 ? { problem: faults.join(', ') } : {}),
    };
    if (summary) {
      const { policy, epochs, top1, elapsedMs, peakRssBytes, stopped, valPhotos } = summary;
      const measured = top1 === undefined ? {} : { top1, interval: intervalOf(top1, valPhotos) };
      return { folder, summary, run: { ...common, policy, epochs, ...measured, elapsedMs, peakRssBytes, stopped } };
    }
    // One that was killed, or that is under way.
    const stopped = existsSync(join(folder, 'last'));
    const elapsedMs = results.reduce((sum, each) => sum + each.elapsedMs, 0);
    const run = { policy: begun?.policy ?? '', epochs: results.length, elapsedMs, peakRssBytes: 0, stopped };
    return { folder, summary: undefined, run: { ...common, ...run } };
  }
}

/** When those of some files that are there were last changed, in ms since 1970. */
async function timesOf(folder: string, files: readonly string[]): Promise<number[]> {
  const found = await Promise.all(files.map((file) => stat(join(folder, file)).catch(() => undefined)));
  return found.flatMap((each) => each?.mtimeMs ?? []);
}

function intervalOf(top1: number, photos: number): readonly [number, number] {
  const { low, high } = wilson95(Math.round(top1 * photos), photos);
  return [low, high];
}

/** None where the table is damaged. */
async function resultsOf(folder: string): Promise<Epochs> {
  const text = await textOf(join(folder, 'results.csv')).catch(() => undefined);
  try {
    return resultsIn(text ?? '');
  } catch {
    return [];
  }
}

/** None of photos with several labels, whose table has other columns. Throws where it is damaged. */
function resultsIn(text: string): Epochs {
  if (!text.startsWith('epoch,')) throw new Error('it has no epochs');
  return epochSchema.safeParse(parseCsv(text, { columns: true, skip_empty_lines: true })).data ?? [];
}

/** A file's text; undefined where there is none. */
async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if (fileErrorCode(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
