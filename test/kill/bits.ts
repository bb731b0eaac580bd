import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { encodeModel, metadataOf, readModel } from '../../src/onnx/model.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { bytesOf } from '../../src/onnx/tensor.js';
import { below } from './place.js';

/** What must be equal whether a command was interrupted or not, by a name for each part: hashes, or short texts. */
export type Bits = Readonly<Record<string, string>>;

/** The names of the parts that differ. */
export function differences(a: Bits, b: Bits): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => a[name] !== b[name]);
}

const hash = (...parts: readonly (Uint8Array | string)[]): string => {
  const all = createHash('sha256');
  for (const part of parts) all.update(part);
  return all.digest('hex');
};

/** Of every file below `folder`. */
export function bitsOfFiles(folder: string): Bits {
  return Object.fromEntries(
    below(folder).map((name) => [
      name,
      isFolder(join(folder, name)) ? 'folder' : hash(readFileSync(join(folder, name))),
    ]),
  );
}

/** Of files that an export wrote, but for the times that it took of both models, and for the size that these give the file. */
export function bitsOfExport(folder: string): Bits {
  const bits = Object.entries(bitsOfFiles(folder)).map(([name, value]): [string, string] => {
    const path = join(folder, name);
    if (name.endsWith('.onnx')) return [name, bitsOfModel(path)];
    return [name, name.endsWith('.json') ? withoutMeasured(readFileSync(path, 'utf8')) : value];
  });
  return Object.fromEntries(bits);
}

function bitsOfModel(path: string): string {
  const { proto } = readModel(path);
  const metadata = new Map(metadataOf(proto));
  proto.metadataProps = [];
  return hash(encodeModel(proto), JSON.stringify([...metadata].map(([key, value]) => [key, withoutMeasured(value)])));
}

function withoutMeasured(text: string): string {
  try {
    return JSON.stringify(
      JSON.parse(text, (key, value: unknown) => (MEASURED.includes(key) ? undefined : value)) as unknown,
    );
  } catch {
    return text;
  }
}

const MEASURED = ['latencyMs', 'bytes'];

export const bitsOfText = (text: string): Bits => ({ 'standard output': hash(text) });

function isFolder(path: string): boolean {
  return statSync(path).isDirectory();
}

/** Columns of `results.csv`, and keys of `summary.json`, that no two runs have alike. */
const TIMES = ['elapsedMs', 'imagesPerSecond'];
const EXACT = ['model.onnx', 'model_float32.onnx', 'best/checkpoint.safetensors', 'labels.txt', 'skipped.csv'];

const summarySchema = z.object({
  policy: z.string(),
  seed: z.number(),
  epochs: z.number(),
  endedBy: z.string(),
  stopped: z.boolean(),
  top1: z.number(),
  bestEpoch: z.number(),
  learningRate: z.number(),
  trainPhotos: z.number(),
  valPhotos: z.number(),
  verified: z.object({ photos: z.number(), agreeing: z.number() }),
});
type RunSummary = z.infer<typeof summarySchema>;

const epochSchema = z.object({ type: z.string(), result: z.object({ epoch: z.number() }).optional() });

/** Of a run, but for what tells how long it took. */
export function bitsOfRun(folder: string): Bits {
  const path = (name: string) => join(folder, name);
  const exact = EXACT.filter((name) => existsSync(path(name)));
  const last = path('last/checkpoint.safetensors');
  return {
    ...Object.fromEntries(exact.map((name) => [name, hash(readFileSync(path(name)))])),
    files: below(folder).join(' '),
    last: existsSync(last)
      ? hash(...[...readSafetensors(last).tensors].flatMap(([name, tensor]) => [name, bytesOf(tensor)]))
      : '',
    'results.csv': existsSync(path('results.csv')) ? withoutTimes(readFileSync(path('results.csv'), 'utf8')) : '',
    'summary.json': JSON.stringify(summaryOf(folder) ?? null),
    'events.jsonl': epochsOf(path('events.jsonl')).join(' '),
  };
}

/** undefined where there is none, or none that is whole. */
export function summaryOf(folder: string): RunSummary | undefined {
  try {
    return summarySchema.parse(JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8')));
  } catch {
    return undefined;
  }
}

function withoutTimes(csv: string): string {
  const [heading = [], ...rows] = csv
    .trimEnd()
    .split('\n')
    .map((line) => line.split(','));
  return rows.map((row) => row.filter((_, column) => !TIMES.includes(heading[column] ?? '')).join(' ')).join('\n');
}

/** The epochs that a run's log tells of. */
function epochsOf(path: string): number[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.flatMap((line) => epochSchema.parse(JSON.parse(line)).result?.epoch ?? []);
}

const recordSchema = z.object({
  id: z.string(),
  round: z.number(),
  result: z
    .object({
      top1: z.number(),
      bestEpoch: z.number(),
      curve: z.array(z.object({ epoch: z.number(), trainLoss: z.number(), valLoss: z.number(), top1: z.number() })),
    })
    .optional(),
});

/** Of what a suite has measured, but for costs. */
export function bitsOfSuite(folder: string): Bits {
  const path = join(folder, 'results.jsonl');
  const lines = existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
  const records = lines.map((line) => recordSchema.parse(JSON.parse(line)));
  return {
    files: below(folder).join(' '),
    ...Object.fromEntries(records.map(({ id, round, result }) => [`${id} ${round}`, JSON.stringify(result ?? null)])),
  };
}
