import { join } from 'node:path';
import type { EnergyChoice } from '../energy/meter.js';
import type { DrawnData, PaperFigures } from './suiteFile/suiteSchema.js';

export type CacheState = 'cold' | 'warm';
/** Settings of a training, by the names of the flags of `ort-tl train`. */
export type TrainSettings = Readonly<Record<string, string | number | boolean>>;

export interface SuiteModel {
  readonly name: string;
  readonly title: string;
  readonly path: string;
  /** The name by which it is loaded, where that has not been done. */
  readonly toPull?: string;
}

export interface SuiteData {
  readonly name: string;
  readonly title: string;
  /** Where photos are; undefined where they are drawn. */
  readonly path: string | undefined;
  readonly drawn: DrawnData | undefined;
  /** The accuracy to reach, 0 to 1; `baseline`: the best of the baseline policy with the same seed. */
  readonly target: number | 'baseline';
}

/** A model on a data set, under some settings: what the policies are compared on. */
export interface SuiteRow {
  readonly name: string;
  readonly title: string;
  readonly model: SuiteModel;
  readonly data: SuiteData;
  readonly policies: readonly string[];
  readonly seeds: readonly number[];
  readonly train: TrainSettings;
  /** The values that this row has of what the suite varies. */
  readonly varied: TrainSettings;
  readonly paper: PaperFigures | undefined;
  /** What it lacks to be run. */
  readonly missing: string | undefined;
}

export interface Suite {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly file: string;
  readonly rows: readonly SuiteRow[];
  readonly baseline: string;
  readonly repeat: number;
  readonly caches: readonly CacheState[];
  readonly warmUp: boolean;
  /** Seed of the order of the runs. */
  readonly order: number;
  readonly energy: { readonly source: EnergyChoice; readonly watts?: number | undefined; readonly idle: number };
  readonly report: 'policies' | 'growth';
}

/** Where photos of a data set are, drawn ones in `out`. */
export function photosOf(data: SuiteData, out: string): string {
  return data.path ?? join(out, 'pictures', data.name);
}
