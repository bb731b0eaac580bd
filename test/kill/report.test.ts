import { describe, expect, it } from 'vitest';
import type { Row } from './killTest.js';
import { linesOf, type Piece, summed } from './report.js';

describe('the report of the kill test', () => {
  const row = (name: string, other: Partial<Row> = {}): Row => ({
    ...{ case: name, way: 'int', tried: 2, finished: 1, inTime: 2, slowestMs: 40 },
    ...{ orphans: 0, leftovers: 0, damaged: 0, otherBits: 0, faults: 0 },
    ...other,
  });
  const piece = (seed: number, rows: Row[]): Piece => ({ seed, seconds: 10, flags: '', rows, faults: [] });
  const pieces = [
    piece(0, [row('eval'), row('demo')]),
    piece(3, [row('eval', { slowestMs: 90, orphans: 1, faults: 1 }), row('eval', { way: 'kill' })]),
  ];

  it('adds up what several calls tried of a case in a way, and takes the slowest', () => {
    expect(summed(pieces)).toEqual([
      row('eval', { tried: 4, finished: 2, inTime: 4, slowestMs: 90, orphans: 1, faults: 1 }),
      row('demo'),
      row('eval', { way: 'kill' }),
    ]);
  });

  it('tells of all tries, seeds and seconds', () => {
    expect(linesOf(pieces).at(-1)).toBe('8 tries of seed 0, 3 in 20 s, 0 with faults');
  });
});
