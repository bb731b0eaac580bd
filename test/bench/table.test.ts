import { expect, it } from 'vitest';
import { markdownTable, significant } from '../../src/bench/table.js';

it('writes a Markdown table, whatever is in its cells', () => {
  expect(
    markdownTable(
      ['what', 'why'],
      [
        ['a|b', 'two\n  lines'],
        ['c', ''],
      ],
    ),
  ).toBe('| what | why |\n| --- | --- |\n| a\\|b | two lines |\n| c |  |');
});

it('shows as many digits as matter', () => {
  expect([1234.5, 12.345, 0.0012345, 0, 999.6].map((value) => significant(value))).toEqual([
    '1235',
    '12.3',
    '0.00123',
    '0',
    '1000',
  ]);
  expect(significant(Infinity)).toBe('Infinity');
});
