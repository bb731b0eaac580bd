import { describe, expect, it } from 'vitest';
import { roundsOf } from '../../src/runtime/stepParts.js';

/** Two batches of eight, the second of five images. */
const slots = Int32Array.from({ length: 16 }, (_, n) => (n < 13 ? n : -1));
const parting = { batch: 8, microBatch: 3 };
const told = (rounds: ReturnType<typeof roundsOf>) =>
  rounds.map((round) =>
    round.map(
      ({ step, first, isFirst, isLast }) => `${step}:${first}${isFirst ? ' first' : ''}${isLast ? ' last' : ''}`,
    ),
  );

describe('the rounds of a plan', () => {
  it('take parts of one step side by side', () => {
    expect(told(roundsOf(slots, 2, { ...parting, atOnce: 2, isInTurn: false }))).toEqual([
      ['0:0 first', '0:3 first'],
      ['0:6 last'],
      ['1:0 first last', '1:3 first last'],
    ]);
  });

  it('take whole steps in turn, where there is room for one', () => {
    const all = ['0:0 first', '0:3', '0:6 last', '1:0 first', '1:3 last'];
    const rounds = (atOnce: number) => told(roundsOf(slots, 2, { ...parting, atOnce, isInTurn: true }));
    expect(rounds(6)).toEqual([all]);
    expect(rounds(4)).toEqual([all.slice(0, 3), all.slice(3)]);
    expect(rounds(1)).toEqual(all.map((part) => [part]));
  });
});
