import { join } from 'node:path';
import { z } from 'zod';
import { MOST_BYTES, readRegularFileSync } from '../files.js';
import { scoreOf } from '../train/headline.js';
import type { Measurement } from './command/measurement.js';

const energySchema = z.object({
  sources: z.array(z.string()),
  estimated: z.boolean(),
  grossJ: z.number(),
  idleJ: z.number().nullable(),
  netJ: z.number().nullable(),
});

/** What a training of a suite gave and cost: what `results.jsonl` keeps of it. */
export const runResultSchema = z.object({
  /** Top-1 of the best epoch, or, of labels, the mean average precision, 0 to 1. */
  top1: z.number().optional(),
  map: z.number().optional(),
  bestEpoch: z.number(),
  /** By epoch; seconds from the first photo read to the end of the epoch, its evaluation included. */
  curve: z.array(
    z.object({
      epoch: z.number(),
      seconds: z.number(),
      /** Time of the epoch alone, without what it writes. */
      computeSeconds: z.number(),
      trainLoss: z.number(),
      trainTop1: z.number().optional(),
      valLoss: z.number(),
      top1: z.number().optional(),
      map: z.number().optional(),
    }),
  ),
  trainPhotos: z.number(),
  valPhotos: z.number(),
  learningRate: z.number(),
  batch: z.number(),
  trainableParameters: z.number(),
  parameters: z.number(),
  boundaryBytes: z.number(),
  /** Time of the whole process. */
  wallSeconds: z.number(),
  cpuSeconds: z.number().nullable(),
  peakRssBytes: z.number().nullable(),
  readBytes: z.number().nullable(),
  writtenBytes: z.number().nullable(),
  energy: energySchema.nullable(),
  energyNotMeasured: z.string().optional(),
  notes: z.array(z.string()),
});
export type RunResult = z.infer<typeof runResultSchema>;

const eventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('reading'), time: z.iso.datetime() }),
  z.object({
    type: z.literal('epoch'),
    time: z.iso.datetime(),
    result: z.object({
      epoch: z.number(),
      trainLoss: z.number(),
      trainTop1: z.number().optional(),
      valLoss: z.number(),
      top1: z.number().optional(),
      map: z.number().optional(),
      elapsedMs: z.number(),
    }),
  }),
]);

const summarySchema = z.object({
  top1: z.number().optional(),
  map: z.number().optional(),
  bestEpoch: z.number(),
  trainPhotos: z.number(),
  valPhotos: z.number(),
  learningRate: z.number(),
  batch: z.number(),
  cost: z.object({ trainableParameters: z.number(), parameters: z.number(), boundaryBytes: z.number() }),
});

/** What a finished training left in its folder, with what it cost. */
export function resultOfRun(folder: string, measured: Measurement): RunResult {
  const read = (name: string) => readRegularFileSync(join(folder, name), MOST_BYTES.record).toString('utf8');
  const { cost, ...summary } = summarySchema.parse(JSON.parse(read('summary.json')));
  const events = read('events.jsonl')
    .split('\n')
    .flatMap((line) => {
      const event = line === '' ? undefined : eventSchema.safeParse(JSON.parse(line));
      return event?.success ? [event.data] : [];
    });
  const began = Date.parse(events.find(({ type }) => type === 'reading')?.time ?? '');
  const curve = events.flatMap((event) =>
    event.type === 'epoch'
      ? [
          {
            ...event.result,
            seconds: (Date.parse(event.time) - began) / 1000,
            computeSeconds: event.result.elapsedMs / 1000,
          },
        ]
      : [],
  );
  const { userSeconds, systemSeconds, wallSeconds, peakRssBytes, readBytes, writtenBytes } = measured;
  const { energy, energyNotMeasured, notes } = measured;
  return runResultSchema.parse({
    ...summary,
    ...cost,
    curve,
    wallSeconds,
    cpuSeconds: userSeconds === null || systemSeconds === null ? null : userSeconds + systemSeconds,
    ...{ peakRssBytes, readBytes, writtenBytes, energy, energyNotMeasured },
    notes: [...notes, ...(energy?.notes ?? [])],
  });
}

/** The first epoch at whose end `target` (0 to 1) was reached, and when that was; undefined where it never was. */
export function reached(
  { curve }: Pick<RunResult, 'curve'>,
  target: number,
): { readonly epoch: number; readonly seconds: number } | undefined {
  // A share of photos is a quotient of whole numbers: what differs by less than one photo in a billion is equal.
  return curve.find((epoch) => scoreOf(epoch) >= target - 1e-9);
}
