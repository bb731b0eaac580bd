import { z } from 'zod';
import { energyChoices } from '../../energy/meter.js';
import { UserError } from '../../errors.js';
import { parsePolicy, showPolicy } from '../../policy/policy.js';

const count = z.number().int().positive();
const name = z.string().regex(/^[\w.+-]+$/, 'expected a name of letters, digits and any of _ . + -');
const setting = z.union([z.string(), z.number(), z.boolean()]);
const settings = z.record(z.string(), setting);
const policy = z.string().transform((text, context) => {
  try {
    return showPolicy(parsePolicy(text));
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
    context.addIssue({ code: 'custom', message: thrown.message });
    return z.NEVER;
  }
});
const policies = z.array(policy).min(1);
const seeds = z.array(z.number().int().nonnegative()).min(1);

const modelSchema = z.strictObject({
  path: z.string(),
  title: z.string().optional(),
  train: settings.optional(),
});

export const drawnSchema = z.strictObject({
  train: count,
  val: count,
  size: count.default(48),
  seed: z.number().int().nonnegative().default(0),
});

const dataSchema = z
  .strictObject({
    path: z.string().optional(),
    drawn: drawnSchema.optional(),
    title: z.string().optional(),
    target: z.union([z.number().gt(0).max(1), z.literal('baseline')]).default('baseline'),
    train: settings.optional(),
  })
  .refine((data) => (data.path === undefined) !== (data.drawn === undefined), {
    message: 'expected either `path`, where photos are, or `drawn`, how many to draw',
  });

export const paperSchema = z.strictObject({
  fc: z.number(),
  fxc1: z.number(),
  'energy-fc': z.number(),
  'energy-fxc1': z.number(),
  gain: z.number(),
  faster: z.number(),
});
/** A row of the paper's Table 2: accuracies in percent, energies in nJ, gain and faster convergence in percent. */
export type PaperFigures = z.infer<typeof paperSchema>;

const rowSchema = z.strictObject({
  name: name.optional(),
  title: z.string().optional(),
  model: z.string(),
  data: z.string(),
  policies: policies.optional(),
  seeds: seeds.optional(),
  train: settings.optional(),
  paper: paperSchema.optional(),
});

const energySchema = z.strictObject({
  source: z.enum(energyChoices).default('auto'),
  watts: z.number().positive().optional(),
  idle: z.number().nonnegative().default(10),
});

/** What the file of a suite says. */
export const suiteSchema = z.strictObject({
  name: name.optional(),
  title: z.string().optional(),
  description: z.string().optional(),
  models: z.record(name, z.union([z.string(), modelSchema])),
  data: z.record(name, z.union([z.string(), dataSchema])),
  policies: policies.default(['F1C0', 'F1C1']),
  baseline: policy.default('F1C0'),
  seeds: seeds.default([0]),
  train: settings.optional(),
  vary: z.record(z.string(), z.array(setting).min(1)).default({}),
  rows: z.array(rowSchema).min(1).optional(),
  repeat: count.default(1),
  cache: z.enum(['cold', 'warm', 'both']).default('cold'),
  'warm-up': z.boolean().default(true),
  order: z.number().int().nonnegative().default(0),
  energy: energySchema.prefault({}),
  report: z.enum(['policies', 'growth']).default('policies'),
});

export type SuiteContent = z.infer<typeof suiteSchema>;
export type RowContent = z.infer<typeof rowSchema>;
/** How many pictures are drawn, how large, and by which seed. */
export type DrawnData = z.infer<typeof drawnSchema>;

/** Which keys there are, by where they stand. */
const KEYS: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^$/, Object.keys(suiteSchema.shape)],
  [/^models\/[^/]+$/, Object.keys(modelSchema.shape)],
  [/^data\/[^/]+$/, Object.keys(dataSchema.shape)],
  [/^data\/[^/]+\/drawn$/, Object.keys(drawnSchema.shape)],
  [/^rows\/\d+$/, Object.keys(rowSchema.shape)],
  [/^rows\/\d+\/paper$/, Object.keys(paperSchema.shape)],
  [/^energy$/, Object.keys(energySchema.shape)],
];

/** The keys that there are at a place, given as the keys on the way to it; undefined where there is no section. */
export function keysAt(path: readonly (string | number)[]): readonly string[] | undefined {
  return KEYS.find(([where]) => where.test(path.join('/')))?.[1];
}
