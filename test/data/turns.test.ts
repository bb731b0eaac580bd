import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Turns } from '../../src/data/turns.js';

/** Work that is begun in turns, of which each piece ends when it is told to. */
function workIn(turns: Turns) {
  const begun: number[] = [];
  const ends = new Map<number, () => void>();
  const take = (piece: number) =>
    turns.take(async () => {
      begun.push(piece);
      await new Promise<void>((end) => ends.set(piece, end));
      return piece;
    });
  return {
    begun,
    take,
    end: async (piece: number) => {
      ends.get(piece)?.();
      await setImmediate();
    },
  };
}

it('lets so many pieces of work go on at once, and the others in the order in which they came', async () => {
  const work = workIn(new Turns(2));
  const results = Promise.all([1, 2, 3, 4].map(work.take));
  expect(work.begun).toEqual([1, 2]);
  await work.end(2);
  expect(work.begun).toEqual([1, 2, 3]);
  await work.end(1);
  expect(work.begun).toEqual([1, 2, 3, 4]);
  await work.end(3);
  await work.end(4);
  expect(await results).toEqual([1, 2, 3, 4]);
});

it('gives the next its turn when one fails, and says why to whoever waited for that', async () => {
  const turns = new Turns(1);
  const failed = turns.take(() => Promise.reject(new Error('no file')));
  const next = turns.take(() => Promise.resolve('read'));
  await expect(failed).rejects.toThrow('no file');
  expect(await next).toBe('read');
});

it('lets fewer go on when it is told so, down to one', async () => {
  const turns = new Turns(3);
  const work = workIn(turns);
  const all = [1, 2, 3, 4].map(work.take);
  expect(work.begun).toEqual([1, 2, 3]);
  expect(turns.lessen()).toBe(true);
  await work.end(1);
  expect(work.begun).toEqual([1, 2, 3]);
  await work.end(2);
  expect(work.begun).toEqual([1, 2, 3, 4]);
  expect([turns.lessen(), turns.lessen()]).toEqual([true, false]);
  await work.end(3);
  await work.end(4);
  expect(await Promise.all(all)).toEqual([1, 2, 3, 4]);
});
