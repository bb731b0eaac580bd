import { afterEach, expect, it, vi } from 'vitest';
import type { Dataset, Summary, Trainer, TrainEvent } from '../../src/index.js';
import { reportTraining } from '../../src/cli/report.js';
import { Terminal } from '../../src/cli/terminal.js';

afterEach(() => {
  vi.restoreAllMocks();
});

/** What is written to standard error of a training that took so much of what it was allowed. */
async function warnings(peakRssBytes: number, memoryLimitBytes?: number): Promise<string> {
  let told = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    told += String(text);
    return true;
  });
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const summary = {
    ...{ bestEpoch: 1, elapsedMs: 5, skipped: [], endedBy: 'epochs', metric: 'top1', leftOut: [], top1: 1 },
    ...{ task: 'classes', peakRssBytes, model: 'run/model.onnx', verified: { photos: 1, agreeing: 1, ok: true } },
    ...(memoryLimitBytes === undefined ? {} : { memoryLimitBytes }),
  } as unknown as Summary;
  const trainer = {
    balances: true,
    run: async (onEvent: (event: TrainEvent) => Promise<void>) => {
      await onEvent({ type: 'done', summary });
      return summary;
    },
  } as unknown as Trainer;
  const dataset: Dataset = { classes: ['cat', 'dog'], train: [], val: [], folder: 'photos' };
  await reportTraining(new Terminal(), dataset, trainer);
  return told;
}

it('says so when a training took more memory than it was allowed', async () => {
  expect(await warnings(308e6, 290e6)).toMatch(
    /^warning: it took 308\.0 MB, more than the 290\.0 MB allowed: .*\(--memory\)\n$/,
  );
  expect(await warnings(280e6, 290e6)).toBe('');
  expect(await warnings(308e6)).toBe('');
});
