import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { FILES } from '../artifacts/artifactFiles.js';
import { UserError } from '../errors.js';
import { nonFiniteIn } from '../finite.js';
import { readSafetensors, writeSafetensors } from '../onnx/safetensors.js';
import type { Tensor } from '../onnx/tensor.js';
import { settingToday, type Settings } from './trainOptions.js';
import { PLACE_SETTINGS } from './trainingPlace.js';

/** JSON has no NaN and no infinity, and made `null` of them. */
const number = z.union([
  z.number(),
  z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number),
  z.null().transform(() => NaN),
]);

const resultSchema = z.object({
  epoch: number,
  learningRate: number,
  trainLoss: number,
  trainTop1: number.optional(),
  valLoss: number,
  top1: number.optional(),
  top5: number.optional(),
  map: number.optional(),
  macroF1: number,
  microF1: number.optional(),
  balancedAccuracy: number.optional(),
  elapsedMs: number,
  imagesPerSecond: number,
});

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const changeSchema = z.object({ name: z.string(), before: scalar, now: scalar });

const progressSchema = z.object({
  /** {@link Settings} that it was begun with, and what identifies the photos and the model; compared key by key. */
  settings: z.record(z.string(), z.unknown()),
  /** The learning rate that a range test chose, or that was given. */
  learningRate: number,
  startedAtMs: number,
  /** The loss of the very first step, before anything was learned. */
  firstLoss: z.number().nullable(),
  /** Finished epochs. */
  results: z.array(resultSchema),
  best: z.object({ epoch: number, value: number }).nullable(),
  /** Steps taken of the epoch after those, and what they have added up. */
  partial: z.object({
    steps: number,
    lossSum: number,
    correct: number,
    images: number,
    elapsedMs: number,
  }),
  /** Where its last part ran; absent in what earlier versions wrote. */
  place: z.record(z.string(), scalar).optional(),
  /** Where it went on elsewhere. */
  moves: z.array(z.object({ epoch: z.number(), step: z.number(), changes: z.array(changeSchema) })).default([]),
  /** Time of all the run's parts, up to what this checkpoint tells of. */
  elapsedMs: z.number().default(0),
  /** Which photos could be read: how many, and a digest of their slots. */
  read: z.object({ photos: z.number(), digest: z.string() }).optional(),
});

/** Where a training stands. It travels in the checkpoint's own file, so that one rename changes both at once. */
export type Progress = z.infer<typeof progressSchema>;

/** Nothing of an epoch. */
export const NO_STEPS: Progress['partial'] = { steps: 0, lossSum: 0, correct: 0, images: 0, elapsedMs: 0 };

/** Whether a run in `out` has got as far as to leave something that it can go on from. */
export function hasCheckpoint(out: string): boolean {
  return existsSync(join(out, 'last', FILES.checkpoint));
}

/** Settings that have no default, of which one that is missing now may have been there before. */
const OPEN_SETTINGS = ['preprocessing', 'resize', 'size'] as const satisfies readonly (keyof Settings)[];

/** Settings as they are compared and stored. */
export type Identity = Settings & { readonly source: string; readonly photos: string };

/** Writes `last/`: parameters, moments and progress. */
export async function writeLast(out: string, state: ReadonlyMap<string, Tensor>, progress: Progress): Promise<void> {
  // Settings are compared as JSON has them.
  const settings: unknown = JSON.parse(JSON.stringify(progress.settings));
  const json = JSON.stringify({ ...progress, settings }, (_, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  );
  await writeSafetensors(join(out, 'last', FILES.checkpoint), state, { progress: json });
}

/**
 * Reads `last/` of a run that is to go on. Settings that only say where it runs may be others than those that it was begun with.
 * @throws UserError `cannot-resume` when there is none, or when it was begun with other settings, naming the first that differs.
 */
export function readLast(out: string, identity: Identity): { state: ReadonlyMap<string, Tensor>; progress: Progress } {
  const refuse = (reason: string) => new UserError('cannot-resume', `cannot go on with ${out}: ${reason}`);
  let checkpoint;
  try {
    checkpoint = readSafetensors(join(out, 'last', FILES.checkpoint));
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
    throw refuse('it has no whole checkpoint in last/; train it anew');
  }
  let json: unknown;
  try {
    json = JSON.parse(checkpoint.metadata['progress'] ?? '');
  } catch {
    throw refuse('its checkpoint does not say how far it was; train it anew');
  }
  const parsed = progressSchema.safeParse(json);
  if (!parsed.success) throw refuse('its checkpoint is of another version of ort-tl; train it anew');
  if (nonFiniteIn(checkpoint.tensors) !== undefined)
    throw refuse(
      'its training has diverged: its weights are no numbers (NaN, or infinite); train it anew with a smaller learning rate (‹learningRate›)',
    );
  const progress = parsed.data;
  const plain = JSON.parse(JSON.stringify(identity)) as Record<string, unknown>;
  for (const name of new Set([...Object.keys(plain), ...OPEN_SETTINGS])) {
    const value = plain[name];
    if (PLACE_SETTINGS.some((each) => each === name)) continue;
    // What was trained before there were labels was of one class a photo.
    const stored = name === 'task' ? (progress.settings[name] ?? 'classes') : progress.settings[name];
    const before = settingToday(name, stored);
    // What the model says of itself, which earlier versions took for crop.
    if (name === 'resize' && before === 'crop' && value === undefined) continue;
    if (JSON.stringify(before) === JSON.stringify(value)) continue;
    if (name === 'photos')
      throw refuse('its photos or their split are others now; put back those that it was begun with');
    if (name === 'source') throw refuse('its model is another now; put back the one that it was begun with');
    throw refuse(`its ${name} was ${show(before)}, and is now ${show(value)}; resume it with what it was begun with`);
  }
  return { state: checkpoint.tensors, progress };
}

function show(value: unknown): string {
  return typeof value === 'string' ? `"${value}"` : JSON.stringify(value ?? null);
}
