import type { RunResult } from './runResult.js';
import type { SuiteRun } from './suiteRuns.js';

/** What a suite tells while it works. */
export type SuiteEvent =
  | { readonly type: 'drawing'; readonly data: string; readonly done: number; readonly total: number }
  | { readonly type: 'idle'; readonly seconds: number }
  | { readonly type: 'preparing'; readonly what: string }
  | {
      readonly type: 'run';
      readonly run: SuiteRun;
      /** From 1 on, of `total` that are to be made now. */
      readonly place: number;
      readonly total: number;
      /** How long it is expected to take; undefined where nothing of its kind has been measured. */
      readonly expectedSeconds: number | undefined;
      /** Time that this run and those behind it will take. */
      readonly leftSeconds: number | undefined;
    }
  | { readonly type: 'ran'; readonly run: SuiteRun; readonly result: RunResult }
  | { readonly type: 'failed'; readonly run: SuiteRun; readonly error: string };

/** How long a run will take, and how that is known. */
export interface Forecast {
  readonly run: SuiteRun;
  readonly seconds: number | undefined;
  readonly basis: 'finished' | 'measured before' | 'probe' | 'failed';
  readonly error?: string;
}
