import { join } from 'node:path';
import { showSettings } from '../../errors.js';
import { type Dataset, imbalanceLine, survey } from '../../index.js';
import type { SurveyReport } from '../api.js';

/** Classes with few photos that a line names. */
const MOST_NAMED = 5;

/** Reads all photos, and tells what is wrong with them as `ort-tl data` does. Throws the signal's reason where that aborts. */
export async function surveyReport(
  dataset: Dataset,
  stampOf: (path: string) => string | undefined,
  signal: AbortSignal,
): Promise<SurveyReport> {
  const looking = survey(dataset);
  let step = await looking.next();
  while (!step.done) {
    if (signal.aborted) await looking.return(undefined as never);
    signal.throwIfAborted();
    step = await looking.next();
  }
  const { content, warnings, imbalance, few, problem } = step.value;
  const base = join(dataset.folder, 'x').slice(0, -1);
  const below = (path: string) => path.slice(base.length).split('\\').join('/');
  const named = few.slice(0, MOST_NAMED).map(({ name, photos }) => `"${name}" has ${photos}`);
  const lines = [
    ...(problem ? [problem.text] : []),
    ...warnings,
    ...(content?.duplicates.warnings ?? []),
    ...(imbalance ? [imbalanceLine(imbalance)] : []),
    ...(few.length > 0
      ? [
          `some classes have few photos to train with (${named.join(', ')}${few.length > MOST_NAMED ? ', …' : ''}); what is learned of them is left to luck: add some`,
        ]
      : []),
  ];
  return {
    unreadable: (content?.unreadable ?? []).map(({ path, reason }) => ({
      path: below(path),
      reason: reason.replaceAll(base, ''),
    })),
    duplicates: (content?.duplicates.groups ?? []).map((group) =>
      group.map(({ path, class: name }) => {
        const stamp = stampOf(below(path));
        return { path: below(path), class: name, ...(stamp === undefined ? {} : { stamp }) };
      }),
    ),
    warnings: lines.map((line) => showSettings(base === '' ? line : line.replaceAll(base, ''), (key) => key)),
  };
}
