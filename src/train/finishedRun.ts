import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EndedBy, Summary } from './events.js';

/** Reasons for which a run ends that leave nothing to go on with. */
const ENDINGS: readonly EndedBy[] = ['epochs', 'patience'];

/** The summary of the run in `out` when it has ended by itself after so many epochs, with all that belongs to its end; else undefined. */
export function summaryOfFinished(out: string, epochs: number): Summary | undefined {
  let summary: unknown;
  try {
    summary = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8'));
  } catch {
    return undefined;
  }
  if (!isWhole(summary) || summary.epochs !== epochs || !existsSync(join(out, 'model.onnx'))) return undefined;
  return summary;
}

/** Whether this version wrote it, at the end of a run that was not stopped; what it holds is then what was written. */
function isWhole(summary: unknown): summary is Summary {
  if (typeof summary !== 'object' || summary === null) return false;
  const { stopped, endedBy, leftOut }: { stopped?: unknown; endedBy?: unknown; leftOut?: unknown } = summary;
  return (
    stopped === false && ENDINGS.some((each) => each === endedBy) && Array.isArray(leftOut) && leftOut.length === 0
  );
}
