import { setTimeout as after } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { underWay } from '../src/underWay.js';

async function all<Result>(results: AsyncIterable<Result>): Promise<Result[]> {
  const given: Result[] = [];
  for await (const result of results) given.push(result);
  return given;
}

describe('what is under way', () => {
  it.each([1, 3, 20])('comes in the order of the items, with no more than %i at once', async (most) => {
    let [running, largest] = [0, 0];
    const items = Array.from({ length: 12 }, (_, index) => index);
    const results = underWay(items, most, async (item) => {
      largest = Math.max(largest, ++running);
      await after((item * 7) % 5);
      running--;
      return 10 * item;
    });
    expect(await all(results)).toEqual(items.map((item) => 10 * item));
    expect(largest).toBe(Math.min(most, items.length));
  });

  it('fails with the first item that does, once those under way have ended', async () => {
    const ended: number[] = [];
    const results = underWay([30, 1, 2, 3, 4], 3, async (ms) => {
      await after(ms);
      ended.push(ms);
      if (ms < 3) throw new Error(`${ms}`);
      return ms;
    });
    await expect(all(results)).rejects.toThrow('1');
    expect(ended.sort()).toEqual([1, 2, 3, 30]);
  });

  it('is waited for by whoever needs no more', async () => {
    let ended = 0;
    for await (const result of underWay([1, 2, 3, 4], 2, () => after(5).then(() => ++ended))) if (result > 0) break;
    expect(ended).toBe(2);
  });
});
