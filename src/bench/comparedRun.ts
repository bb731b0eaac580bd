import { existsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { UserError } from '../errors.js';
import { fileReason, MOST_BYTES, readRegularFileSync } from '../files.js';
import { keySetTwice } from './keySetTwice.js';

/** What is compared of an epoch. */
export interface ComparedEpoch {
  readonly epoch: number;
  readonly trainLoss: number;
  readonly valLoss: number;
  /** 0 to 1; of labels `map` in its place. */
  readonly top1?: number | undefined;
  readonly map?: number | undefined;
}

/** What is compared of a run, where it tells. */
export interface ComparedValues {
  readonly top1: number | undefined;
  /** Of labels: the mean average precision. */
  readonly map?: number | undefined;
  readonly valLoss: number | undefined;
  readonly macroF1: number | undefined;
  readonly bestEpoch: number;
  readonly seconds: number;
  readonly peakRssBytes: number | undefined;
  readonly trainableParameters: number;
  /** Size of the exported model's file. */
  readonly modelBytes: number | undefined;
  readonly energyJ: number | undefined;
}

export interface ComparedRun {
  readonly name: string;
  readonly seed: number;
  /** All that decides its result, but for the seed. */
  readonly settings: Readonly<Record<string, string>>;
  readonly curve: readonly ComparedEpoch[];
  readonly values: ComparedValues;
}

const summarySchema = z.object({
  policy: z.string(),
  seed: z.number(),
  top1: z.number().optional(),
  map: z.number().optional(),
  bestEpoch: z.number(),
  metrics: z.object({ loss: z.number(), macroF1: z.number() }),
  elapsedMs: z.number(),
  peakRssBytes: z.number(),
  learningRate: z.number(),
  cost: z.object({ trainableParameters: z.number() }),
});

const epochSchema = z.object({
  epoch: z.number(),
  trainLoss: z.number(),
  valLoss: z.number(),
  top1: z.number().optional(),
  map: z.number().optional(),
});

/** A line of a suite's `results.jsonl`. */
const recordSchema = z.object({
  id: z.string(),
  round: z.number(),
  setting: z.string(),
  result: z.object({
    top1: z.number().optional(),
    map: z.number().optional(),
    bestEpoch: z.number(),
    curve: z.array(epochSchema),
    trainableParameters: z.number(),
    wallSeconds: z.number(),
    peakRssBytes: z.number().nullable(),
    energy: z.object({ grossJ: z.number() }).nullable(),
  }),
});

/** Settings that change nothing of what a training learns or costs, or that the seed stands for. */
const IRRELEVANT = new Set(['seed', 'tensorboard', 'verify', 'cache']);
const RECORDS = 'results.jsonl';

/**
 * The finished runs of `path`: a run's folder, or a suite's folder or its `results.jsonl`, which has many.
 * @throws UserError `not-a-run` for anything else.
 */
export function readRuns(path: string): ComparedRun[] {
  if (existsSync(join(path, 'summary.json'))) return [readRun(path)];
  const records = path.endsWith('.jsonl') ? path : join(path, RECORDS);
  if (existsSync(records)) return readRecords(records);
  throw new UserError(
    'not-a-run',
    `${path} is no finished run, which has a summary.json, and no suite, which has a ${RECORDS}`,
  );
}

function readRun(folder: string): ComparedRun {
  const read = (name: string, mostBytes?: number) => readRecord(join(folder, name), mostBytes);
  const refuse = (name: string) => new UserError('not-a-run', `${join(folder, name)} is not what a run writes`);
  const summary = summarySchema.safeParse(parsed(read('summary.json')));
  if (!summary.success) throw refuse('summary.json');
  const { policy, seed, top1, map, bestEpoch, metrics, elapsedMs, peakRssBytes, cost } = summary.data;
  const [heading = '', ...lines] = read('results.csv').trim().split('\n');
  const columns = heading.split(',');
  const curve = z
    .array(epochSchema)
    .safeParse(
      lines.map((line) =>
        Object.fromEntries(line.split(',').map((cell, index) => [columns[index] ?? '', Number(cell)] as const)),
      ),
    );
  if (!curve.success) throw refuse('results.csv');
  // Written on from the library, a run has no such file.
  const own: unknown = existsSync(join(folder, 'args.yaml')) ? parsedYaml(read('args.yaml', MOST_BYTES.settings)) : {};
  const args = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).safeParse(own);
  if (!args.success) throw refuse('args.yaml');
  const given = { ...args.data, policy, lr: args.data['lr'] ?? 'default' };
  const model = statSync(join(folder, 'model.onnx'), { throwIfNoEntry: false });
  return {
    name: basename(folder),
    seed,
    settings: Object.fromEntries(
      Object.entries(given).flatMap(([name, value]) => (IRRELEVANT.has(name) ? [] : [[name, String(value)]])),
    ),
    curve: curve.data,
    values: {
      top1,
      map,
      valLoss: metrics.loss,
      macroF1: metrics.macroF1,
      bestEpoch,
      seconds: elapsedMs / 1000,
      peakRssBytes,
      trainableParameters: cost.trainableParameters,
      modelBytes: model?.size,
      energyJ: undefined,
    },
  };
}

/** Reads the latest record of each measurement that succeeded. */
function readRecords(path: string): ComparedRun[] {
  const latest = new Map<string, ComparedRun>();
  for (const line of readRecord(path).split('\n')) {
    // Others failed, or were cut off while they were written.
    const record = recordSchema.safeParse(parsed(line));
    if (!record.success) continue;
    const { id, round, setting, result } = record.data;
    const match = /^(?<row>.+)\/(?<policy>[^/]+)\/(?<cache>[^/]+)\/seed-(?<seed>\d+)$/.exec(id);
    // A probe of --dry-run is no run.
    if (!match) continue;
    const { row = '', policy = '', cache = '', seed = '0' } = match.groups ?? {};
    const best = result.curve.find(({ epoch }) => epoch === result.bestEpoch);
    latest.set(`${id} ${round} ${setting}`, {
      name: `${id}#${round}`,
      seed: Number(seed),
      settings: { row, policy, features: cache, setting },
      curve: result.curve,
      values: {
        top1: result.top1,
        map: result.map,
        valLoss: best?.valLoss,
        macroF1: undefined,
        bestEpoch: result.bestEpoch,
        seconds: result.wallSeconds,
        peakRssBytes: result.peakRssBytes ?? undefined,
        trainableParameters: result.trainableParameters,
        modelBytes: undefined,
        energyJ: result.energy?.grossJ,
      },
    });
  }
  if (latest.size === 0) throw new UserError('not-a-run', `${path} holds no finished run`);
  return [...latest.values()];
}

function readRecord(path: string, mostBytes: number = MOST_BYTES.record): string {
  try {
    return readRegularFileSync(path, mostBytes).toString('utf8');
  } catch (thrown) {
    throw new UserError('not-a-run', `cannot read ${path}: ${fileReason(thrown)}`);
  }
}

function parsedYaml(text: string): unknown {
  const document = parseDocument(text, { uniqueKeys: false });
  try {
    return document.errors.length > 0 || keySetTwice(document) ? undefined : document.toJS();
  } catch {
    // Its aliases have no end.
    return undefined;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
