/**
 * What `run` makes of each item, in the order of the items, with up to `most` of them under way at once. Whoever closes it early
 * waits for those.
 */
export async function* underWay<Item, Result>(
  items: AsyncIterable<Item> | Iterable<Item>,
  most: number,
  run: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const running: Promise<Result>[] = [];
  try {
    for await (const item of items) {
      const result = run(item);
      // Whoever waits for it learns that it failed, which may be after another has.
      result.catch(() => undefined);
      running.push(result);
      const [first] = running;
      if (running.length < most || !first) continue;
      const given = await first;
      void running.shift();
      yield given;
    }
    for (let first = running[0]; first; first = running[0]) {
      const given = await first;
      void running.shift();
      yield given;
    }
  } finally {
    await Promise.allSettled(running);
  }
}
