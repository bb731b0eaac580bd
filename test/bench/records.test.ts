import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type MeasurementRecord, Records } from '../../src/bench/records.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ort-tl-records-'));
  path = join(folder, 'peers.jsonl');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const record = (id: string, round: number, rest: Partial<MeasurementRecord> = {}): MeasurementRecord => ({
  id,
  round,
  setting: 'net.onnx, 10 epochs',
  at: '2026-01-02T03:04:05.000Z',
  ...rest,
});
const milliseconds = ({ ms }: Record<string, unknown>) => (typeof ms === 'number' ? ms : undefined);

it('knows after a restart what was measured, and tries again what failed', () => {
  const before = Records.open(path);
  before.add(record('steps', 1, { result: { ms: 5 } }));
  before.add(record('help', 1, { error: 'no such file' }));

  const after = Records.open(path);
  expect(after.isDone(record('steps', 1))).toBe(true);
  expect(after.isDone(record('steps', 2))).toBe(false);
  expect(after.isDone(record('help', 1))).toBe(false);
  expect(after.isDone(record('steps', 1, { setting: 'net.onnx, 2 epochs' }))).toBe(false);
  expect(after.error('help', 'net.onnx, 10 epochs')).toBe('no such file');
  expect(after.error('steps', 'net.onnx, 10 epochs')).toBeUndefined();
});

it('goes on behind a line that was cut off', () => {
  Records.open(path).add(record('steps', 1, { result: { ms: 5 } }));
  appendFileSync(path, '{"id":"steps","rou');

  const after = Records.open(path);
  after.add(record('steps', 2, { result: { ms: 6 } }));
  expect(Records.open(path).values('steps', 'net.onnx, 10 epochs', milliseconds)).toEqual(
    new Map([
      [1, 5],
      [2, 6],
    ]),
  );
});

it('takes the latest result of each round, of the same setting only', () => {
  const records = Records.open(path);
  records.add(record('steps', 1, { result: { ms: 5 } }));
  records.add(record('steps', 1, { result: { ms: 4 } }));
  records.add(record('steps', 2, { result: {} }));
  records.add(record('steps', 3, { result: { ms: 9 }, setting: 'other.onnx' }));
  expect(records.values('steps', 'net.onnx, 10 epochs', milliseconds)).toEqual(new Map([[1, 4]]));
});

it('begins anew when asked to', () => {
  Records.open(path).add(record('steps', 1, { result: { ms: 5 } }));
  Records.open(path, { fresh: true }).add(record('steps', 2, { result: { ms: 6 } }));
  expect(readFileSync(path, 'utf8').trim().split('\n')).toHaveLength(1);
});

it('tells the records of each kind of machine apart, and those of before there were kinds', () => {
  const all = Records.open(path);
  all.add(record('steps', 1, { result: { ms: 5 } }));
  all.add(record('steps', 1, { result: { ms: 7 }, machine: 'AVX2' }));
  const narrow = all.ofMachine('AVX2');
  narrow.add(record('steps', 2, { result: { ms: 8 }, machine: 'AVX2' }));

  const after = Records.open(path);
  expect(after.ofMachine('AVX2').values('steps', 'net.onnx, 10 epochs', milliseconds)).toEqual(
    new Map([
      [1, 7],
      [2, 8],
    ]),
  );
  expect(after.ofMachine(undefined).values('steps', 'net.onnx, 10 epochs', milliseconds)).toEqual(new Map([[1, 5]]));
  expect(after.ofMachine('AVX-512').entries).toEqual([]);
  expect(after.ofMachine('AVX-512').isDone(record('steps', 1))).toBe(false);
});

it('throws away what is chosen, and keeps the rest on the disk', () => {
  const all = Records.open(path);
  all.add(record('steps', 1, { result: { ms: 5 }, machine: 'AVX2' }));
  all.add(record('steps', 1, { result: { ms: 6 } }));
  appendFileSync(path, '{"id":"steps","rou');

  const kept = Records.open(path, { fresh: ({ machine }) => machine === 'AVX2' });
  kept.add(record('steps', 2, { result: { ms: 4 } }));
  expect(Records.open(path).entries.map(({ result }) => result)).toEqual([{ ms: 6 }, { ms: 4 }]);
  expect(Records.open(path, { fresh: ({ machine }) => machine === 'none' }).entries).toHaveLength(2);
  expect(readFileSync(path, 'utf8').trim().split('\n')).toHaveLength(2);
});
