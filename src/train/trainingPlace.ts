import { arch, cpus } from 'node:os';
import { decoderVersion } from '../data/decode.js';
import { runtimeVersion } from '../runtime/ort.js';
import { packageVersion } from '../version.js';
import type { Settings } from './trainOptions.js';

/** Settings that say where and how a training runs, and not what it learns: a run may go on with others. */
export const PLACE_SETTINGS = [
  'threads',
  'provider',
  'microBatch',
  'sessions',
  'recompute',
] as const satisfies (keyof Settings)[];

/** What decides how a training's numbers are rounded, beside what it learns. */
export type TrainingPlace = Readonly<Record<string, string | number | boolean>>;

/** Something that is another where a run goes on. */
export interface PlaceChange {
  readonly name: string;
  readonly before: string | number | boolean;
  readonly now: string | number | boolean;
}

/** Where a run goes on elsewhere, and what is another there: from then on it need not have the bits of one that was never stopped. */
export interface Move {
  readonly epoch: number;
  /** Steps of the epoch that were taken before. */
  readonly step: number;
  readonly changes: readonly PlaceChange[];
}

/** Where a training with `settings` runs. */
export function placeOf(settings: Settings): TrainingPlace {
  return {
    ...Object.fromEntries(PLACE_SETTINGS.map((name) => [name, settings[name]])),
    processor: `${arch()} ${cpus()[0]?.model ?? ''}`.trim(),
    onnxruntime: runtimeVersion,
    sharp: decoderVersion,
    'ort-tl': packageVersion,
  };
}

/** What differs; what is not known of the first counts as the same. */
export function changesOf(before: Readonly<Record<string, unknown>>, now: TrainingPlace): PlaceChange[] {
  return Object.entries(now).flatMap(([name, value]) => {
    const was = before[name];
    const isKnown = typeof was === 'string' || typeof was === 'number' || typeof was === 'boolean';
    return isKnown && was !== value ? [{ name, before: was, now: value }] : [];
  });
}
