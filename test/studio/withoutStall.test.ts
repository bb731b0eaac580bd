import { describe, expect, it } from 'vitest';
import { withoutStall } from '../../src/studio/server/withoutStall.js';

/** Gives what it is to give, then nothing any more unless it `ends`; tells when it is closed. */
async function* source(each: readonly number[], ends: boolean, onClose: () => void): AsyncGenerator<number> {
  try {
    yield* each;
    if (!ends) await new Promise(() => undefined);
  } finally {
    onClose();
  }
}

async function taken(numbers: AsyncIterable<number>): Promise<number[]> {
  const all: number[] = [];
  for await (const each of numbers) all.push(each);
  return all;
}

describe('what comes from elsewhere', () => {
  it('is passed on, and the source closed', async () => {
    let closed = 0;
    expect(
      await taken(
        withoutStall(
          source([1, 2, 3], true, () => closed++),
          10_000,
        ),
      ),
    ).toEqual([1, 2, 3]);
    expect(closed).toBe(1);
  });

  it('is given up when nothing comes any more', async () => {
    await expect(
      taken(
        withoutStall(
          source([1], false, () => undefined),
          20,
        ),
      ),
    ).rejects.toThrow('nothing has come');
  });

  it('is closed by whoever has enough', async () => {
    let closed = 0;
    for await (const each of withoutStall(
      source([1, 2, 3], true, () => closed++),
      10_000,
    ))
      if (each === 2) break;
    expect(closed).toBe(1);
  });
});
