import { expect, it } from 'vitest';
import { claimRow } from '../../src/bench/claims.js';

it('tells the median, the range and by how much it falls short', () => {
  const measured = new Map([
    [1, 7],
    [2, 8],
    [3, 9],
  ]);
  expect(
    claimRow({ what: 'an epoch', wanted: 10, direction: 'at least', unit: 'times', measured, note: 'eager' }),
  ).toEqual(['an epoch', 'at least 10.0×', '8.00×', '7.00× to 9.00×', '20 %', 'eager']);
});

it('says that nothing is missing from what is reached', () => {
  const measured = new Map([[1, 0.25]]);
  expect(claimRow({ what: 'memory', wanted: 1 / 3, direction: 'at most', unit: 'share', measured })).toEqual([
    'memory',
    'at most 33.3 %',
    '25.0 %',
    'one round',
    'nothing',
    '',
  ]);
});

it('says why something was not measured', () => {
  const row = claimRow({
    what: 'help',
    wanted: 150,
    direction: 'at most',
    unit: 'ms',
    measured: new Map(),
    missing: 'no Python with PyTorch (--python-torch)',
  });
  expect(row).toEqual(['help', 'at most 150 ms', 'not measured: no Python with PyTorch (--python-torch)', '', '', '']);
});

it('tells bytes in millions', () => {
  const measured = new Map([[1, 320e6]]);
  expect(claimRow({ what: 'memory', wanted: 256e6, direction: 'at most', unit: 'bytes', measured })).toEqual([
    'memory',
    'at most 256 MB',
    '320 MB',
    'one round',
    '25 %',
    '',
  ]);
});
