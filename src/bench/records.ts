import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { z } from 'zod';
import { jsonText } from '../text.js';
import { UserError } from '../errors.js';
import { fileReason, MOST_BYTES, readRegularFileSync, writeFailed } from '../files.js';
import type { ByRound } from './statistics.js';

const recordSchema = z.object({
  /** What was measured, such as `train/F1C1/ort-tl`. */
  id: z.string(),
  /** From 1 on. */
  round: z.number().int().positive(),
  /** Equal for measurements that may be compared: the model, the photos and how many. */
  setting: z.string(),
  /** Equal for measurements whose accuracies may be compared, on machines of other kinds too. */
  content: z.string().optional(),
  /** The kind of machine, where measurements of several kinds lie in one file. */
  machine: z.string().optional(),
  /** When it ended, ISO 8601. */
  at: z.string(),
  /** What the measuring process printed; absent where it failed. */
  result: z.record(z.string(), z.unknown()).optional(),
  /** Why it could not be measured. */
  error: z.string().optional(),
});
export type MeasurementRecord = z.infer<typeof recordSchema>;

/** What a measurement is looked up by. */
type Wanted = Pick<MeasurementRecord, 'id' | 'round' | 'setting' | 'content'>;

const isOf = (each: MeasurementRecord, { id, round, setting, content }: Wanted): boolean =>
  each.id === id &&
  each.round === round &&
  (each.setting === setting || (content !== undefined && each.content === content));

/** How every record begins. */
const BEGINNING = '{"id":"';

/** A line of a file of records; undefined for one that is empty, cut off in the middle of being written, or of another kind. */
export function recordOf(line: string): MeasurementRecord | undefined {
  try {
    return recordSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}

/** Measurements in a file of JSON lines, to which each is added as soon as it is made: a run that was cut off goes on. */
export class Records {
  private constructor(
    private readonly path: string,
    private readonly all: MeasurementRecord[],
    private readonly isTold: (record: MeasurementRecord) => boolean = () => true,
  ) {}

  /**
   * @param options `fresh` throws away what is there, or what it chooses of it; `reads`: nothing is to be added, and the file, which another process
   * may be writing, stays as it is.
   * @throws UserError `foreign-files` when that is not of records, `bad-suite` where it cannot be read.
   */
  static open(
    path: string,
    {
      fresh = false,
      reads = false,
    }: { readonly fresh?: boolean | ((record: MeasurementRecord) => boolean); readonly reads?: boolean } = {},
  ): Records {
    const found = existsSync(path) ? readRecords(path).split('\n') : [];
    const [first = '', ...others] = found.filter((line) => line !== '');
    // The very first one may have been cut off.
    const isBegun = others.length === 0 && first.startsWith(BEGINNING.slice(0, first.length));
    if (!isBegun && !found.some((line) => recordOf(line)))
      throw new UserError('foreign-files', `${path} holds no measurements of ort-tl; choose another file (‹out›)`);
    if (reads)
      return new Records(
        path,
        found.flatMap((line) => recordOf(line) ?? []),
      );
    const isThrownAway = typeof fresh === 'boolean' ? () => fresh : fresh;
    const records = found.flatMap((line) => recordOf(line) ?? []);
    const kept = records.filter((record) => !isThrownAway(record));
    if (kept.length === 0 && fresh !== false) rmSync(path, { force: true });
    else if (kept.length < records.length) {
      writeFileSync(`${path}.new`, kept.map((record) => `${jsonText(record)}\n`).join(''));
      renameSync(`${path}.new`, path);
    }
    // What comes next must not continue a line that was cut off.
    else if (found.at(-1) !== undefined && found.at(-1) !== '') appendFileSync(path, '\n');
    return new Records(path, kept);
  }

  /** Those of one kind of machine, and what is added to either; undefined for those that name none. */
  ofMachine(machine: string | undefined): Records {
    return new Records(this.path, this.all, (record) => record.machine === machine);
  }

  /** It is on the disk when this returns. @throws UserError `write-failed`. */
  add(record: MeasurementRecord): void {
    this.all.push(record);
    try {
      const file = openSync(this.path, 'a');
      try {
        writeSync(file, `${jsonText(record)}\n`);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    } catch (cause) {
      throw writeFailed(this.path, cause);
    }
  }

  /**
   * The latest record of a measurement that succeeded, else the latest of all. Where `content` is given, those of other machines that have
   * it are meant too.
   */
  find(wanted: Wanted): MeasurementRecord | undefined {
    const same = this.entries.filter((each) => isOf(each, wanted));
    return same.findLast(({ result }) => result !== undefined) ?? same.at(-1);
  }

  /** All of them, in the order in which they were made. */
  get entries(): readonly MeasurementRecord[] {
    return this.all.filter(this.isTold);
  }

  /** Whether it was measured; what failed is tried again. */
  isDone(wanted: Wanted): boolean {
    return this.entries.some((each) => isOf(each, wanted) && each.result !== undefined);
  }

  /** What `read` finds in each round's latest result of `id`. */
  values(id: string, setting: string, read: (result: Record<string, unknown>) => number | undefined): ByRound {
    const found = new Map<number, number>();
    for (const each of this.entries) {
      if (each.id !== id || each.setting !== setting || !each.result) continue;
      const value = read(each.result);
      if (value !== undefined && Number.isFinite(value)) found.set(each.round, value);
    }
    return found;
  }

  /** The latest result of `id`. */
  result(id: string, setting: string): Record<string, unknown> | undefined {
    return this.entries.findLast((each) => each.id === id && each.setting === setting && each.result)?.result;
  }

  /** Why the latest measurement of `id` failed; undefined where one succeeded, or none was tried. */
  error(id: string, setting: string): string | undefined {
    if (this.result(id, setting)) return undefined;
    return this.entries.findLast((each) => each.id === id && each.setting === setting)?.error;
  }
}

function readRecords(path: string): string {
  try {
    return readRegularFileSync(path, MOST_BYTES.record).toString('utf8');
  } catch (cause) {
    throw new UserError('bad-suite', `cannot read ${path}: ${fileReason(cause)}; choose another folder (‹out›)`, {
      cause,
    });
  }
}
