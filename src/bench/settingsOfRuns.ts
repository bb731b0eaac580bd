import { relative } from 'node:path';
import { openDataset } from '../data/openDataset.js';
import type { MeterAccess } from '../energy/meter.js';
import { UserError } from '../errors.js';
import { fileReason, MOST_BYTES, readRegularFile, sha256 } from '../files.js';
import type { Machine } from './machine.js';
import { readTrainFlags } from '../train/trainOptions.js';
import { photosOf, type SuiteRow, type TrainSettings } from './suite.js';
import type { SuiteRun } from './suiteRuns.js';

/** What a run depends on, as hashes. */
export interface MadeWith {
  /** Equal for runs whose times may be compared: the machine, too, is the same. Empty where the run was not made by this process. */
  readonly setting: string;
  /** Equal for runs whose accuracies may be compared, on whichever machines. */
  readonly content: string;
}
/** Runs by their ids. */
export type RunSettings = ReadonlyMap<string, MadeWith>;

/** What a run depends on besides its own settings and files. */
export interface Circumstances {
  readonly machine: Machine;
  readonly access: MeterAccess;
  /** Where pictures are that are drawn. */
  readonly out: string;
}

/** What each run depends on: the machine, what energy comes from, the model, the photos, and what the training is told. */
export async function settingsOfRuns(runs: readonly SuiteRun[], circumstances: Circumstances): Promise<RunSettings> {
  const { machine, access, out } = circumstances;
  const contents = new Map<string, string>();
  for (const { row } of runs)
    if (!contents.has(contentKey(row)))
      contents.set(contentKey(row), `${await modelContent(row)} ${await photosContent(row, out)}`);
  return new Map(
    runs.map(({ id, row }) => {
      const { node: _, ...versions } = machine.versions;
      const told = [
        contents.get(contentKey(row)),
        Object.entries(trainSettingsOf(row)).sort(([a], [b]) => (a < b ? -1 : 1)),
      ];
      const measured = [machine, access.kind === 'meter' ? access.describe : 'no energy'];
      return [id, { setting: hashOf([...measured, ...told]), content: hashOf([versions, ...told]) }];
    }),
  );
}

/** 16 hexadecimal digits that differ where `decides` does. */
export const hashOf = (decides: unknown): string => sha256(Buffer.from(JSON.stringify(decides))).slice(0, 16);

/** What the trainings of a row are told. The exported model is not run again unless the suite says so: that is no part of what training costs. */
export const trainSettingsOf = ({ train }: SuiteRow): TrainSettings => ({ verify: 0, ...train });

const contentKey = ({ model, data, train: { task = 'auto' } }: SuiteRow) =>
  `${model.name} ${data.name} ${String(task)}`;

async function modelContent({ model }: SuiteRow): Promise<string> {
  try {
    return sha256(await readRegularFile(model.path, MOST_BYTES.file));
  } catch (thrown) {
    // Each run will say so.
    return fileReason(thrown);
  }
}

async function photosContent({ data, train: settings }: SuiteRow, out: string): Promise<string> {
  if (data.drawn) return JSON.stringify(data.drawn);
  try {
    const { task } = readTrainFlags(settings);
    const { classes, train, val, folder } = await openDataset(photosOf(data, out), { seed: 0, task });
    const names = [train, val].map((photos) =>
      photos.map((photo) => [relative(folder, photo.path), photo.labels ?? photo.label]),
    );
    return sha256(Buffer.from(JSON.stringify([classes, names])));
  } catch (thrown) {
    // Each run will say so.
    if (thrown instanceof UserError) return thrown.message;
    throw thrown;
  }
}
