import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { byMachine } from '../../bench/machine.js';
import { isWorthMeasuring } from '../../bench/peers/measurements.js';
import { report } from '../../bench/peers/report.js';
import { Records } from '../../dist/bench/records.js';

const setting = 'net.onnx, photos, 100+25 photos, 3 epochs, share 0.16, 5 steps, 2 threads';
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ort-tl-report-'));
  path = join(folder, 'peers.jsonl');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

interface Made {
  readonly id: string;
  readonly round?: number;
  readonly machine?: string;
  readonly result: object;
}
const training = (first: number, later: number, rest: object = {}) => ({
  trainPhotos: 100,
  valPhotos: 25,
  epochs: [first, later, later].map((seconds) => ({ seconds, trainLoss: 1, valLoss: 1, top1: 0.5 })),
  prepareS: 0,
  peakRssBytes: 3e8,
  ...rest,
});

function reportOf(made: readonly Made[], ids: readonly string[] = []): string {
  const lines = made.map(({ round = 1, machine = 'here', ...rest }) =>
    JSON.stringify({ id: rest.id, round, setting, machine, at: '2026-01-02T03:04:05.000Z', result: rest.result }),
  );
  writeFileSync(path, `${lines.join('\n')}\n`);
  const about = { heading: 'Photos.', epochs: 3, photos: 125, ids, hide: (text: string) => text };
  return report(byMachine(Records.open(path), setting, 'here'), about);
}
const rowOf = (text: string, beginning: string) => text.split('\n').find((line) => line.startsWith(`| ${beginning} |`));

it('compares what stands beside a busy process with the quiet figure of the same round', () => {
  const ids = ['train/F1C1/ort-tl', 'busy/train/F1C1/ort-tl', 'busy/steps/full-16/ort-tl'];
  const text = reportOf(
    [
      { id: 'train/F1C1/ort-tl', result: training(10, 1, { trainingS: 13 }) },
      { id: 'train/F1C1/ort-tl', round: 2, result: training(20, 1, { trainingS: 24 }) },
      { id: 'busy/train/F1C1/ort-tl', result: training(13, 1, { trainingS: 26 }) },
      { id: 'busy/train/F1C1/ort-tl', round: 2, result: training(26, 1, { trainingS: 48 }) },
      { id: 'steps/full-16/ort-tl', result: { batch: 16, stepMs: { median: 100, min: 90, max: 110 } } },
      { id: 'busy/steps/full-16/ort-tl', result: { batch: 16, stepMs: { median: 150, min: 90, max: 190 } } },
    ],
    ids,
  );
  // 125 photos in 10 and 20 s are 12.5 and 6.25 a second; beside the busy process each takes 1.3 times as long.
  expect(rowOf(text, 'F1C1, first epoch beside one busy process, against a quiet one')).toContain(
    '| at most 1.35× | 1.30× | 1.30× to 1.30× | nothing |',
  );
  expect(rowOf(text, 'train/F1C1/ort-tl')).toBe(
    '| train/F1C1/ort-tl | 7.21 (4.81 to 9.62) | 0.769× (0.769 to 0.769) | 37.0 (26.0 to 48.0) | 2.00× (2.00 to 2.00) |  |  |',
  );
  expect(rowOf(text, 'steps/full-16/ort-tl')).toBe('| steps/full-16/ort-tl |  |  |  |  | 150 | 1.50× |');
});

it('tells by how many times all cores are faster than one, and what the machine has too few cores for', () => {
  const text = reportOf([
    { id: 'cores/1/F1C1', result: training(20, 1) },
    { id: 'train/F1C1/ort-tl', result: training(10, 1) },
    { id: 'cores/1/full', result: training(9, 9) },
    { id: 'train/full/ort-tl', result: training(6, 6) },
  ]);
  expect(rowOf(text, 'F1C1, first epoch, 1 → 2 cores')).toContain('| at least 1.90× | 2.00× | one round | nothing |');
  expect(rowOf(text, 'full, an epoch after the first, 1 → 2 cores')).toContain('| at least 1.80× | 1.50× |');
  expect(rowOf(text, 'F1C1, first epoch, 2 → 16 cores')).toContain('| not measured: the machine has 2 |');
  expect(rowOf(text, '2 (all)')).toBe('| 2 (all) | 12.5 | 2.00× | 20.8 | 1.50× | 300 |');
});

it('holds a first epoch against inference, and photos of 12 megapixels against decoding', () => {
  const text = reportOf([
    { id: 'train/F1C1/ort-tl', result: training(10, 1) },
    { id: 'inference', result: { imagesPerSecond: 25, best: { sessions: 2, threads: 1, batch: 4 } } },
    { id: 'photos/12mp/ort-tl', result: training(5, 1) },
    { id: 'photos/12mp/sharp', result: { photosPerSecond: 50, exactPhotosPerSecond: 40 } },
  ]);
  expect(rowOf(text, "F1C1, first epoch, against ONNX Runtime's own best inference")).toContain(
    '| at least 85.0 % | 50.0 % | one round | 41 % | 2 sessions of 1 thread, 4 in a run |',
  );
  expect(rowOf(text, 'F1C1, first epoch, photos of 12 megapixels, against decoding alone')).toContain('| 50.0 % |');
  expect(rowOf(text, '12mp')).toBe('| 12mp | 125 | 25.0 | 50.0 | 50.0 | 40.0 | 62.5 |');
});

it('wants more of the wider instructions, and shows both machines in one row', () => {
  const help = { helpMs: { median: 100, min: 90, max: 110 }, nodeMs: { median: 50, min: 40, max: 60 } };
  const slower = { helpMs: { median: 300, min: 200, max: 400 }, nodeMs: { median: 100, min: 90, max: 110 } };
  const text = reportOf(
    [
      { id: 'help', result: help },
      { id: 'help', machine: 'wide, AVX-512', result: slower },
    ],
    ['help'],
  );
  expect(rowOf(text, '`ort-tl --help`, whole process')).toBe(
    '| `ort-tl --help`, whole process | at most 150 ms | 100 ms | one round | nothing |  | 300 ms | one round | 100 % |  |',
  );
  expect(rowOf(text, 'the step alone, against that limit')).toContain('| at least 60.0 % / at least 65.0 % |');
  expect(text).toContain('## On here, 2 cores');
  expect(text).toContain('## On wide, AVX-512, 2 cores');
});

it('still reads the records of earlier runs', () => {
  const committed = fileURLToPath(new URL('../../bench/results/peers.jsonl', import.meta.url));
  writeFileSync(path, readFileSync(committed, 'utf8'));
  const records = Records.open(path);
  const earlier = records.entries.find(({ id }) => id === 'train/F1C1/ort-tl')?.setting ?? '';
  const about = { heading: 'Photos.', epochs: 10, photos: 3900, ids: [], hide: (text: string) => text };
  const text = report(byMachine(records, earlier, 'here'), about);
  expect(rowOf(text, 'F1C1, whole training, against PyTorch the usual way')).toMatch(
    /\| at least 16\.0× \| [\d.]+× \|/,
  );
});

it('measures a mode of PyTorch again where it is near the best, and beside a busy process where it is not far from it', () => {
  const quantity = () => undefined;
  const [group, once] = ['steps/torch', false];
  const run = () => Promise.resolve({});
  const of = (mode: string, quiet?: string) => ({
    ...{ id: quiet ? `busy/${quiet}` : mode, mode, group, quantity, once, run },
    ...(quiet ? { quiet } : {}),
  });
  const seconds: Readonly<Record<string, number>> = { eager: 9, fast: 1, near: 1.1, far: 1.4, slow: 2 };
  const all = Object.keys(seconds).flatMap((mode) => [of(mode), of(mode, mode)]);
  const chosen = (round: number) =>
    all.filter((each) => isWorthMeasuring(each, round, all, (id) => seconds[id])).map(({ id }) => id);
  expect(chosen(1)).toEqual([
    ...['eager', 'busy/eager', 'fast', 'busy/fast', 'near', 'busy/near', 'far', 'busy/far', 'slow'],
  ]);
  expect(chosen(2)).toEqual(['eager', 'busy/eager', 'fast', 'busy/fast', 'near', 'busy/near', 'busy/far']);
});
