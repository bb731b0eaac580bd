import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, UserError } from '../errors.js';
import { fileReason, MOST_BYTES, readRegularFileSync, writeFileAtomically } from '../files.js';
import { type Shard, showShard } from '../shard.js';
import { packageVersion } from '../version.js';
import type { Machine } from './machine.js';
import { hashOf, type RunSettings } from './settingsOfRuns.js';
import type { Suite } from './suite.js';
import { suiteRecordSchema } from './suiteRecord.js';
import type { SuiteRun } from './suiteRuns.js';

/** What a folder holds says this file: a part of a suite, or the parts that were joined in it. */
export const SHARD_FILE = 'shard.json';
export const MERGED_FILE = 'merged.json';

/** To be raised when the files have to be read in another way. */
const FORMAT = 1;

const commonSchema = z.object({
  format: z.literal(FORMAT),
  /** What parts have in common that may be joined: a hash of all runs, and of what decides their accuracies. */
  suite: z.string(),
  name: z.string(),
  /** Of ort-tl. */
  version: z.string(),
  /** How many parts there are. */
  count: z.number().int().positive(),
  /** The runs of all parts, as {@link nameOfRun} writes them. */
  all: z.array(z.string()),
  /** What decides the accuracies of each row, as a hash, by its name: model, photos, settings and versions. */
  contents: z.record(z.string(), z.string()),
  definition: suiteRecordSchema,
});

const shardSchema = commonSchema.extend({
  index: z.number().int().positive(),
  /** Those of this part. */
  runs: z.array(z.string()),
  /** The machine that worked on it last. */
  machine: z.object({
    system: z.string(),
    processor: z.string(),
    cores: z.number(),
    memoryBytes: z.number(),
    versions: z.object({
      'ort-tl': z.string(),
      node: z.string(),
      'onnxruntime-node': z.string(),
      sharp: z.string(),
    }),
  }) satisfies z.ZodType<Machine>,
  energy: z.string(),
});
/** A part of a suite, as its folder tells of it. */
export type ShardFile = z.infer<typeof shardSchema>;

const mergedSchema = commonSchema.extend({
  /** The parts that were joined. */
  shards: z.array(z.number().int().positive()),
});
export type MergedFile = z.infer<typeof mergedSchema>;

/** As it is before it is written. */
type Written<File> = Omit<File, 'definition'> & { readonly definition: Suite };

/** A run with its round, where it has several. */
export const nameOfRun = ({ id, round }: Pick<SuiteRun, 'id' | 'round'>): string =>
  `${id}${round > 1 ? ` again (${round})` : ''}`;

/** What a part is described by before it is run. */
export interface ShardFacts {
  readonly suite: Suite;
  readonly shard: Shard;
  /** The runs of all parts, and those of this one. */
  readonly all: readonly SuiteRun[];
  readonly part: readonly SuiteRun[];
  readonly settings: RunSettings;
  readonly machine: Machine;
  readonly energy: string;
}

/** @throws UserError `write-failed`. */
export async function writeShard(folder: string, facts: ShardFacts): Promise<void> {
  const { suite, shard, all, part, settings, machine, energy } = facts;
  const contents = Object.fromEntries(all.map(({ id, row }) => [row.name, settings.get(id)?.content ?? '']));
  const file: Written<ShardFile> = {
    format: FORMAT,
    suite: hashOf(all.map((run) => [nameOfRun(run), contents[run.row.name]]).sort()),
    name: suite.name,
    version: packageVersion,
    ...{ index: shard.index, count: shard.count },
    ...{ all: all.map(nameOfRun), runs: part.map(nameOfRun) },
    ...{ machine, energy, contents, definition: suite },
  };
  await write(join(folder, SHARD_FILE), file);
}

/** @throws UserError `write-failed`. */
export async function writeMerged(folder: string, part: ShardFile, shards: readonly number[]): Promise<void> {
  const { index: _, runs: __, machine: ___, energy: ____, ...common } = part;
  const file: Written<MergedFile> = { ...common, shards: [...shards] };
  await write(join(folder, MERGED_FILE), file);
}

/** What a folder says of the part that it holds; undefined where it holds none. @throws UserError `bad-shard`. */
export const readShard = (folder: string): ShardFile | undefined => read(join(folder, SHARD_FILE), shardSchema);

/** What a folder says of the parts that were joined in it. @throws UserError `bad-shard`. */
export const readMerged = (folder: string): MergedFile | undefined => read(join(folder, MERGED_FILE), mergedSchema);

/**
 * Looks whether a folder holds what is to go on there.
 * @throws UserError `other-shard` where it holds another part of a suite, a part where the whole is meant, or the other way round.
 */
export function checkShard(folder: string, shard: Shard | undefined): void {
  const found = readShard(folder);
  const wanted = shard === undefined ? undefined : showShard(shard);
  const held = found === undefined ? undefined : showShard(found);
  if (found !== undefined && held !== wanted)
    throw new UserError(
      'other-shard',
      `${folder} holds shard ${held ?? ''} of ${found.name}; ${wanted === undefined ? `say so (‹shard›), or join all parts by ort-tl bench merge` : `choose another folder for shard ${wanted}`} (‹out›)`,
    );
  if (wanted !== undefined && readMerged(folder) !== undefined)
    throw new UserError(
      'other-shard',
      `${folder} holds a suite whose parts were joined; choose another folder (‹out›)`,
    );
}

async function write(path: string, content: object): Promise<void> {
  const text = JSON.stringify(content, (_, value: unknown) => (value === undefined ? null : value), 2);
  await writeFileAtomically(path, `${text}\n`);
}

function read<Content>(path: string, schema: z.ZodType<Content>): Content | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return schema.parse(JSON.parse(readRegularFileSync(path, MOST_BYTES.record).toString('utf8')));
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : messageOf(cause);
    throw new UserError(
      'bad-shard',
      `cannot read ${path}: ${cause instanceof z.ZodError || cause instanceof SyntaxError ? reason.replaceAll(/\s+/g, ' ') : fileReason(cause)}; run this part again`,
      { cause },
    );
  }
}
