import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { byMachine, coreCounts, widestVectors } from '../../bench/machine.js';
import { Records } from '../../dist/bench/records.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ort-tl-machine-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

it('finds the widest vector instructions that Linux tells of', () => {
  expect(widestVectors('processor\t: 0\nflags\t\t: fpu sse2 avx avx2 avx512f avx512bw\n')).toBe('AVX-512');
  expect(widestVectors('flags\t\t: fpu sse2 avx avx2 avx_vnni\n')).toBe('AVX2');
  expect(widestVectors('Features\t: fp asimd evtstrm\n')).toBe('NEON');
  expect(widestVectors('')).toBeUndefined();
});

it('goes up to all cores, whatever their number', () => {
  expect(coreCounts(1)).toEqual([1]);
  expect(coreCounts(2)).toEqual([1, 2]);
  expect(coreCounts(10)).toEqual([1, 2, 3, 4, 6, 8, 10]);
});

it('puts the same work of several machines side by side, this one first, records without a note too', () => {
  const path = join(folder, 'peers.jsonl');
  const of = (setting: string, machine?: string) =>
    JSON.stringify({ id: 'help', round: 1, setting, at: '2026-01-02T03:04:05.000Z', machine, result: {} });
  const work = 'net.onnx, 5 steps';
  const lines = [
    of(`${work}, 2 threads`),
    of(`${work}, 16 threads`, 'large'),
    of(`${work}, 2 threads`, 'here'),
    of('other.onnx, 5 steps, 2 threads', 'elsewhere'),
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  const records = Records.open(path);
  const found = byMachine(records, `${work}, 2 threads`, 'here');
  expect(found.map(({ heading, cores }) => [heading, cores])).toEqual([
    ['here, 2 cores', 2],
    ['a machine not told, 2 cores', 2],
    ['large, 16 cores', 16],
  ]);
  expect(found[2]?.records.result('help', `${work}, 16 threads`)).toEqual({});
  // One that has measured nothing is left out, unless it is the only one.
  expect(byMachine(records, `${work}, 2 threads`, 'new').map(({ machine }) => machine)).toEqual([
    undefined,
    'large',
    'here',
  ]);
  expect(byMachine(records, 'none.onnx, 2 threads', 'new').map(({ machine }) => machine)).toEqual(['new']);
});
