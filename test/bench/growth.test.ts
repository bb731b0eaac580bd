import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { axesOf, trainingsOf } from '../../bench/growth/axes.js';
import { drawGrowth } from '../../bench/growth/chart.js';
import { measuredOf, perfectOf } from '../../bench/growth/measured.js';
import { byMachine } from '../../bench/machine.js';
import { Records } from '../../dist/bench/records.js';

const choice = { quick: false, photos: 3000, usual: 0.16, policies: ['F1C1', 'full'], takesSides: false };
const setting = 'net.onnx, 3000 photos, 4 cores';
const axisOf = (name: string, cores: number) => {
  const axis = axesOf(choice, cores).find((each) => each.name === name);
  if (!axis) throw new Error(`no axis ${name}`);
  return axis;
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ort-tl-growth-test-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Records in which `seconds` of an epoch go by training. */
function recordsOf(seconds: Readonly<Record<string, number>>, machine: string): Records {
  const path = join(folder, 'growth.jsonl');
  const lines = Object.entries(seconds).map(([id, each]) => {
    const epochs = [3 * each, each, each].map((value) => ({ seconds: value, trainLoss: 1, valLoss: 1, top1: 1 }));
    const result = { trainPhotos: 100, valPhotos: 25, epochs, peakRssBytes: 2e8, processS: 10, cpuS: 15 };
    return JSON.stringify({ id, round: 1, setting, machine, at: '2026-01-02T03:04:05.000Z', result });
  });
  writeFileSync(path, `${lines.join('\n')}\n`);
  return Records.open(path);
}

it('varies threads and cores from one to all, with photos enough for a session on each', () => {
  for (const name of ['threads', 'cores']) {
    expect(axisOf(name, 6).points.map(({ shown }) => shown)).toEqual([1, 2, 3, 4, 6]);
    expect(axisOf(name, 2).points.map(({ settings }) => settings.share)).toEqual([0.16, 0.16]);
    expect(axisOf(name, 8).points[0]?.settings.share).toBeCloseTo((8 * 192) / 3000, 9);
  }
  expect(axisOf('threads', 2).points[1]?.settings.flags).toEqual(['--threads', '2']);
  expect(axisOf('cores', 2).points[1]?.settings.cores).toBe(2);
  expect(trainingsOf(axisOf('cores', 2)).map(({ id }) => id)).toEqual([
    'cores/F1C1/1',
    'cores/full/1',
    'cores/F1C1/2',
    'cores/full/2',
  ]);
});

it('tells by how many times more cores are faster than one, beside what would be perfect', async () => {
  const axis = axisOf('cores', 4);
  const records = recordsOf({ 'cores/F1C1/1': 6, 'cores/F1C1/2': 4, 'cores/F1C1/4': 3 }, 'here');
  const [machine] = byMachine(records, setting, 'here');
  if (!machine) throw new Error('no machine');
  const measured = measuredOf(axis, machine);
  const gained = measured.map(({ value, numbers }) => [
    value,
    numbers.find(({ title }) => title === 'a later epoch, times as fast')?.spread?.median,
    numbers.find(({ title }) => title === 'cores used')?.spread?.median,
  ]);
  expect(gained).toEqual([
    [1, 1, 1.5],
    [2, 1.5, 1.5],
    [4, 2, 1.5],
  ]);
  expect(perfectOf(axis).map(({ value, numbers }) => [value, numbers[0]?.spread?.median])).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 4],
  ]);
  expect(perfectOf(axisOf('batch', 4))).toEqual([]);
  const plot = await drawGrowth(axis, [...measured, ...measured.map((each) => ({ ...each, machine: 'there' }))]);
  expect(plot).toContain('F1C1, there');
  expect(plot).toContain('perfect');
});
