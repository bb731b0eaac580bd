import { z } from 'zod';
import { energyChoices } from '../energy/meter.js';
import type { Suite } from './suite.js';
import { drawnSchema, paperSchema } from './suiteFile/suiteSchema.js';

/** JSON has no `undefined`: it is kept as null. */
const perhaps = <Content>(schema: z.ZodType<Content>) =>
  z
    .nullable(schema)
    .optional()
    .transform((value): Content | undefined => value ?? undefined);

const settings = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

const rowSchema = z.object({
  name: z.string(),
  title: z.string(),
  model: z.object({ name: z.string(), title: z.string(), path: z.string() }),
  data: z.object({
    name: z.string(),
    title: z.string(),
    path: perhaps(z.string()),
    drawn: perhaps(drawnSchema),
    target: z.union([z.number(), z.literal('baseline')]),
  }),
  policies: z.array(z.string()),
  seeds: z.array(z.number()),
  train: settings,
  varied: settings,
  paper: perhaps(paperSchema),
  missing: perhaps(z.string()),
});

/** A suite as it was read, kept beside its results: who joins them needs neither its file nor its models and photos. */
export const suiteRecordSchema = z.object({
  name: z.string(),
  title: z.string(),
  description: z.string(),
  file: z.string(),
  rows: z.array(rowSchema),
  baseline: z.string(),
  repeat: z.number().int().positive(),
  caches: z.array(z.enum(['cold', 'warm'])),
  warmUp: z.boolean(),
  order: z.number().int(),
  energy: z.object({ source: z.enum(energyChoices), watts: perhaps(z.number()), idle: z.number() }),
  report: z.enum(['policies', 'growth']),
}) satisfies z.ZodType<Suite>;
