import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Job } from '../../src/studio/api.js';
import { KeptRecommendation } from '../../src/studio/server/keptRecommendation.js';
import { folder } from './studio.js';

const job: Job = {
  id: '1',
  kind: 'recommend',
  command: 'npx ort-tl recommend --model net.onnx --data photos',
  state: 'done',
  elapsedMs: 60_000,
  recommendation: {
    policy: 'F1C1',
    reason: 'it is 2 points better than F1C0',
    policies: [
      { policy: 'F1C0', top1: 0.9, interval: [0.88, 0.92], predictedMs: 4000, memoryBytes: 4e8, verdict: 'worse' },
      { policy: 'F1C1', verdict: 'chosen' },
    ],
  },
};

describe('the recommendation that is kept', () => {
  it('is there again after the studio was started anew', async () => {
    const runs = folder();
    await new KeptRecommendation(runs).keep(job);
    const later = new KeptRecommendation(runs);
    await later.open();
    expect(later.last).toMatchObject({ command: job.command, recommendation: job.recommendation });
  });

  it('stays when a job recommends nothing', async () => {
    const kept = new KeptRecommendation(folder());
    await kept.keep(job);
    const { recommendation, ...other } = job;
    await kept.keep({ ...other, kind: 'train' });
    expect(kept.last?.recommendation).toEqual(recommendation);
  });

  it.each(['', '{', '{ "at": "yesterday" }'])('is none where its file says %j', async (text) => {
    const runs = folder();
    writeFileSync(join(runs, 'studio-recommendation.json'), text);
    const kept = new KeptRecommendation(runs);
    await kept.open();
    expect(kept.last).toBeUndefined();
  });
});
