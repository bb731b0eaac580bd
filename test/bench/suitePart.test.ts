import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { estimatesOf } from '../../src/bench/runEstimate.js';
import { readSuite } from '../../src/bench/suiteFile/readSuite.js';
import { partOf } from '../../src/bench/suitePart.js';
import { runsOf } from '../../src/bench/suiteRuns.js';

const out = mkdtempSync(join(tmpdir(), 'ort-tl-'));
const file = join(out, 'suite.yaml');
writeFileSync(
  file,
  `models: { cnn: small_cnn }
data: { few: { drawn: { train: 8, val: 4 } }, many: { drawn: { train: 80, val: 40 } } }
policies: [F1C0, F1C1, full, "layers:nothing"]
seeds: [0, 1, 2]
train: { epochs: 20 }
`,
);
const runs = runsOf(readSuite(file));

it('puts each run into one part, of every number of parts', async () => {
  const estimates = await estimatesOf(runs, out);
  for (const count of [1, 2, 3, 5, 24, 30]) {
    const parts = Array.from({ length: count }, (_, index) => partOf(runs, estimates, { index: index + 1, count }));
    expect(
      parts
        .flat()
        .map(({ id }) => id)
        .sort(),
    ).toEqual(runs.map(({ id }) => id).sort());
    // Greedy, the longest first: no part is longer than the mean by more than one run (Graham, 1969).
    const lengths = parts.map((part) => part.reduce((sum, { id }) => sum + (estimates.get(id) ?? NaN), 0));
    const mean = [...estimates.values()].reduce((sum, each) => sum + each, 0) / count;
    expect(Math.max(...lengths)).toBeLessThanOrEqual(mean + Math.max(...estimates.values()));
    // In a part the order is that of the whole.
    for (const part of parts) expect(part).toEqual(runs.filter((run) => part.includes(run)));
  }
});

it('takes more photos, more layers and a second part of them for longer, and another seed for as long', async () => {
  const estimates = await estimatesOf(runs, out);
  const of = (data: string, policy: string, seed = 0) =>
    estimates.get(`cnn-${data}/${policy}/cold/seed-${seed}`) ?? NaN;
  expect(of('few', 'F1C0')).toBeLessThan(of('few', 'F1C1'));
  expect(of('few', 'F1C1')).toBeLessThan(of('few', 'full'));
  expect(of('few', 'full')).toBeLessThan(of('many', 'full'));
  expect(of('few', 'full', 1)).toBe(of('few', 'full', 2));
  expect(of('few', 'layers:nothing')).toBeLessThan(of('few', 'F1C0'));
});
