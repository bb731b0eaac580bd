import { z } from 'zod';
import type { EpochPoint, Exported, Job, StudioRecommendation } from '../api.js';
import { parsed } from './parsed.js';

const progress = z.object({
  type: z.literal('progress'),
  phase: z.string(),
  done: z.number(),
  total: z.number(),
});
const epoch = z.object({
  type: z.literal('epoch'),
  epochs: z.number(),
  result: z.object({
    epoch: z.number(),
    trainLoss: z.number(),
    valLoss: z.number(),
    trainTop1: z.number().optional(),
    top1: z.number(),
  }),
});
const recommended = z.object({
  type: z.literal('done'),
  recommendation: z.object({
    policy: z.string(),
    reason: z.string(),
    policies: z.array(
      z.object({
        policy: z.string(),
        accuracy: z.number().nullable(),
        interval: z.tuple([z.number(), z.number()]).nullable(),
        predictedMs: z.number().nullable(),
        memoryBytes: z.number().nullable(),
        energyJ: z.number().nullable(),
        verdict: z.string(),
      }),
    ),
  }),
});
const share = z.object({ exported: z.number() });
const exported = z.object({
  type: z.literal('done'),
  out: z.string(),
  photos: z.number().optional(),
  agreement: z.number().optional(),
  top1: share.nullish(),
  latencyMs: share.optional(),
});
const known = z.union([progress, epoch, recommended, exported]);

/** What an event of a command changes of its job. */
export interface JobChange {
  readonly progress?: NonNullable<Job['progress']>;
  readonly point?: EpochPoint;
  readonly epochs?: number;
  readonly recommendation?: StudioRecommendation;
  readonly exported?: Omit<Exported, 'name' | 'bytes'> & { readonly out: string };
}

/** Reads a line that a command prints with `--events`; undefined for what the page does not show. */
export function readJobEvent(line: string): JobChange | undefined {
  const { data: event } = known.safeParse(parsed(line));
  if (!event) return undefined;
  if (event.type === 'progress') {
    const { phase, done, total } = event;
    return { progress: { phase, done, total } };
  }
  if (event.type === 'epoch') {
    const { trainTop1, ...point } = event.result;
    return { epochs: event.epochs, point: { ...point, ...(trainTop1 === undefined ? {} : { trainTop1 }) } };
  }
  if ('recommendation' in event) return { recommendation: recommendationOf(event.recommendation) };
  const { out, photos, agreement, top1, latencyMs } = event;
  return {
    exported: {
      out,
      ...(photos === undefined ? {} : { photos }),
      ...(agreement === undefined ? {} : { agreement }),
      ...(top1 ? { top1: top1.exported } : {}),
      ...(latencyMs ? { latencyMs: latencyMs.exported } : {}),
    },
  };
}

function recommendationOf(found: z.infer<typeof recommended>['recommendation']): StudioRecommendation {
  const { policy, reason, policies } = found;
  return {
    policy,
    reason,
    policies: policies.map((each) => ({
      policy: each.policy,
      verdict: each.verdict,
      ...(each.accuracy === null ? {} : { top1: each.accuracy }),
      ...(each.interval === null ? {} : { interval: each.interval }),
      ...(each.predictedMs === null ? {} : { predictedMs: each.predictedMs }),
      ...(each.memoryBytes === null ? {} : { memoryBytes: each.memoryBytes }),
      ...(each.energyJ === null ? {} : { energyJ: each.energyJ }),
    })),
  };
}
