import { mkdtempSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ComparedRun, readRuns } from '../../src/bench/comparedRun.js';
import { compareRuns } from '../../src/bench/comparison.js';
import { comparisonPage } from '../../src/bench/comparisonPage.js';
import { UserError } from '../../src/errors.js';

const run = (policy: string, seed: number, top1: number, seconds = 10): ComparedRun => ({
  name: `${policy}-${seed}`,
  seed,
  settings: { policy, epochs: '2' },
  curve: [
    { epoch: 1, trainLoss: 1, valLoss: 1.2, top1: top1 - 0.1 },
    { epoch: 2, trainLoss: 0.5, valLoss: 1, top1 },
  ],
  values: {
    top1,
    valLoss: 1,
    macroF1: undefined,
    bestEpoch: 2,
    seconds,
    peakRssBytes: undefined,
    trainableParameters: 100,
    modelBytes: undefined,
    energyJ: undefined,
  },
});

describe('runs side by side', () => {
  const runs = [
    ...[run('F1C0', 0, 0.6), run('F1C0', 1, 0.7), run('F1C0', 2, 0.8)],
    ...[run('F1C1', 0, 0.65), run('F1C1', 1, 0.77), run('F1C1', 2, 0.86)],
  ];

  it('are grouped by their settings but the seed, and differ seed by seed with an interval', () => {
    const { groups, differences, settings } = compareRuns(runs);
    expect(groups.map(({ label, runs: own }) => [label, own.length])).toEqual([
      ['F1C0', 3],
      ['F1C1', 3],
    ]);
    expect(settings).toEqual({ policy: ['F1C0', 'F1C1'] });
    // Means 0.7; deviation 0.1; t of two degrees 4.30265.
    expect(groups[0]?.values.top1?.mean).toBeCloseTo(0.7);
    expect(groups[0]?.values.top1?.high).toBeCloseTo(0.7 + (4.30265 * 0.1) / Math.sqrt(3), 5);
    // Differences 0.05, 0.07, 0.06: far surer than the means are.
    const [difference] = differences;
    expect(difference?.pairs).toBe(3);
    expect(difference?.values.top1?.mean).toBeCloseTo(0.06);
    expect(difference?.values.top1?.low).toBeCloseTo(0.06 - (4.30265 * 0.01) / Math.sqrt(3), 5);
    expect(groups[0]?.values.macroF1).toBeUndefined();
  });

  it('have no interval where there is one seed, and none where no seeds are common', () => {
    const { groups, differences } = compareRuns([run('F1C0', 0, 0.6), run('F1C1', 5, 0.7)]);
    expect(groups[0]?.values.top1).toEqual({ mean: 0.6, low: null, high: null, count: 1 });
    expect(differences[0]?.pairs).toBe(0);
    expect(differences[0]?.values.top1?.mean).toBeCloseTo(0.1);
    expect(differences[0]?.values.top1?.low).toBeNull();
  });

  it('count once where a seed is repeated', () => {
    const { groups } = compareRuns([run('F1C0', 0, 0.5), run('F1C0', 0, 0.7), run('F1C0', 1, 0.9), run('F1C1', 0, 1)]);
    expect(groups[0]?.values.top1?.mean).toBeCloseTo(0.75);
    expect(groups[0]?.values.top1?.count).toBe(2);
  });

  it('make a page that needs no other file', async () => {
    const page = await comparisonPage(compareRuns(runs), [{ title: 'a <title>', rows: [['x'], ['1 & 2']] }]);
    expect(page.match(/<svg/g)).toHaveLength(3);
    expect(page).toContain('a &lt;title&gt;');
    expect(page).toContain('1 &amp; 2');
    expect(page).not.toMatch(/(src|href)="http/);
  });
});

describe("a suite's records", () => {
  it('are read as runs with their seeds, the latest of each, without those that failed or were cut off', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
    const result = {
      ...{ top1: 0.5, bestEpoch: 1, trainableParameters: 7, wallSeconds: 3, peakRssBytes: null },
      energy: { grossJ: 12, estimated: false },
      curve: [{ epoch: 1, trainLoss: 1, valLoss: 2, top1: 0.5, seconds: 3 }],
    };
    const id = 'small/F1C1/cold/seed-4';
    const line = (extra: object) => JSON.stringify({ id, round: 1, setting: 's', at: '', ...extra });
    mkdirSync(join(folder, 'suite'));
    const path = join(folder, 'suite', 'results.jsonl');
    const lines = [
      line({ result }),
      line({ error: 'killed' }),
      line({ id: 'probe/small/F1C1', result }),
      line({ result: { ...result, top1: 0.6 } }),
      '{"id": "cut',
    ];
    writeFileSync(path, lines.join('\n'));
    for (const given of [path, join(folder, 'suite')]) {
      const [only, ...others] = readRuns(given);
      expect(others).toEqual([]);
      expect(only?.seed).toBe(4);
      expect(only?.settings['policy']).toBe('F1C1');
      expect(only?.values).toMatchObject({ top1: 0.6, valLoss: 2, seconds: 3, energyJ: 12 });
    }
  });

  it('are refused where there is none', () => {
    expect(() => readRuns('/nowhere')).toThrow(UserError);
    expect(() => readRuns('/nowhere')).toThrow(/is no finished run/);
  });
});
