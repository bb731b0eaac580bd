import { createHash } from 'node:crypto';
import {
  appendFileSync,
  mkdtempSync,
  openSync,
  readdirSync,
  truncateSync,
  utimesSync,
  watch,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listCache, prunable, removeFromCache } from '../../src/cache/cacheFolder.js';
import { defaultCacheFolder } from '../../src/defaultCacheFolder.js';
import { FeatureStore, type Layout, storeFolder } from '../../src/cache/featureStore.js';

const layout: Layout = {
  format: 1,
  runtime: 'a runtime',
  values: [
    { fingerprint: 'first', dtype: 'float32', shape: [3] },
    { fingerprint: 'second', dtype: 'uint8', shape: [2, 2] },
  ],
  model: 'net.onnx',
  policy: 'F1C1',
};
const ROW_BYTES = 3 * 4 + 4;
const root = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));
const keyOf = (name: string) => createHash('sha256').update(name).digest('hex');
const rowOf = (number: number) => [
  new Uint8Array(Float32Array.of(number, -number, 0.5).buffer),
  Uint8Array.of(number, 2, 3, 4),
];
const open = (folder: string) => FeatureStore.open(folder, layout);

/** The rows that are there and whole, by their names. */
async function rows(folder: string, names: readonly string[]): Promise<Record<string, number | undefined>> {
  const store = await open(folder);
  const found: Record<string, number | undefined> = {};
  for (const name of names) {
    const [floats, bytes] = [new Float32Array(3), new Uint8Array(4)];
    const place = store.find(keyOf(name));
    const isWhole = place && (await store.readChecked(place, [new Uint8Array(floats.buffer), bytes]));
    const [number] = floats;
    if (isWhole && number !== undefined) {
      expect([...floats.slice(1), ...bytes]).toEqual([-number, 0.5, number, 2, 3, 4]);
      found[name] = number;
    } else found[name] = undefined;
  }
  await store.close();
  return found;
}

async function write(folder: string, entries: Record<string, number>): Promise<void> {
  const store = await open(folder);
  await Promise.all(Object.entries(entries).map(([name, number]) => store.append(keyOf(name), rowOf(number))));
  await store.close();
}

const fileOf = (folder: string, ending: string) => {
  const name = readdirSync(folder).find((each) => each.endsWith(ending));
  return join(folder, name ?? '');
};

describe('FeatureStore', () => {
  it('gives back what was written, at once and after it was closed', async () => {
    const folder = join(root(), 'store');
    const store = await open(folder);
    const place = await store.append(keyOf('a'), rowOf(7));
    const into = rowOf(0);
    expect(await store.readChecked(place, into)).toBe(true);
    expect(into).toEqual(rowOf(7));
    expect(store.find(keyOf('a'))).toEqual(place);
    expect(store.find(keyOf('b'))).toBeUndefined();
    await store.close();
    await write(folder, { b: 8, c: 9 });
    expect(await rows(folder, ['a', 'b', 'c', 'd'])).toEqual({ a: 7, b: 8, c: 9, d: undefined });
  });

  it('takes rows of two writers at once', async () => {
    const folder = join(root(), 'store');
    const [one, other] = [await open(folder), await open(folder)];
    await Promise.all([one.append(keyOf('a'), rowOf(1)), other.append(keyOf('b'), rowOf(2))]);
    await Promise.all([one.close(), other.close()]);
    expect(await rows(folder, ['a', 'b'])).toEqual({ a: 1, b: 2 });
  });

  it.each([
    ['the rows', '.rows', 2 * ROW_BYTES - 1],
    ['the index', '.index', 2 * 40 - 1],
  ])('counts only whole rows where %s were cut off, and goes on behind', async (_, ending, bytes) => {
    const folder = join(root(), 'store');
    await write(folder, { a: 1, b: 2, c: 3 });
    truncateSync(fileOf(folder, ending), bytes);
    expect(await rows(folder, ['a', 'b', 'c'])).toEqual({ a: 1, b: undefined, c: undefined });
    await write(folder, { b: 5 });
    expect(await rows(folder, ['a', 'b', 'c'])).toEqual({ a: 1, b: 5, c: undefined });
  });

  it('does not trust a row whose bytes have changed', async () => {
    const folder = join(root(), 'store');
    await write(folder, { a: 1, b: 2 });
    const file = openSync(fileOf(folder, '.rows'), 'r+');
    writeSync(file, Uint8Array.of(255), 0, 1, ROW_BYTES + 3);
    expect(await rows(folder, ['a', 'b'])).toEqual({ a: 1, b: undefined });
  });

  it('ignores an index without rows, and rows without an index', async () => {
    const folder = join(root(), 'store');
    await write(folder, { a: 1 });
    appendFileSync(join(folder, 'alone.index'), new Uint8Array(400));
    appendFileSync(join(folder, 'alone-too.rows'), new Uint8Array(400));
    expect(await rows(folder, ['a'])).toEqual({ a: 1 });
  });

  it('lies elsewhere for another graph, another type and another runtime', () => {
    const folders = [
      layout,
      { ...layout, runtime: 'another' },
      { ...layout, values: layout.values.slice(0, 1) },
      { ...layout, values: layout.values.map((value) => ({ ...value, dtype: 'float16' as const })) },
    ].map((each) => storeFolder('root', each));
    expect(new Set(folders).size).toBe(4);
    expect(storeFolder('root', { ...layout, model: 'renamed.onnx', policy: 'F2C1' })).toBe(folders[0]);
  });
});

describe('a cache folder', () => {
  it('lists what it holds, the last used first, and removes it', async () => {
    const folder = root();
    await write(join(folder, 'old'), { a: 1 });
    await write(join(folder, 'new'), { a: 1, b: 2 });
    utimesSync(join(folder, 'old', 'layout.json'), 1000, 1000);
    const entries = await listCache(folder);
    expect(entries.map(({ name, rows: count, model }) => [name, count, model])).toEqual([
      ['new', 2, 'net.onnx'],
      ['old', 1, 'net.onnx'],
    ]);
    await removeFromCache(entries.slice(1));
    expect(readdirSync(folder)).toEqual(['new']);
    expect(await listCache(join(folder, 'nothing'))).toEqual([]);
  });

  it.skipIf(process.platform !== 'linux')(
    'removes last what tells of an entry: where that is cut off, the rest is still listed',
    async () => {
      const folder = root();
      const store = join(folder, 'store');
      await write(store, { a: 1 });
      for (let segment = 0; segment < 100; segment++) writeFileSync(join(store, `${segment}-0123456789ab.rows`), 'row');
      const removed: string[] = [];
      const watcher = watch(store, (_, name) => {
        if (name !== null && name !== 'store') removed.push(name);
      });
      await removeFromCache(await listCache(folder));
      while (removed.length < 103) await new Promise(setImmediate);
      watcher.close();
      expect(removed.at(-1)).toBe('layout.json');
      expect(readdirSync(folder)).toEqual([]);
    },
  );

  it('is pruned by age and by size', () => {
    const entry = (name: string, bytes: number, day: number) => ({
      name,
      folder: name,
      model: '',
      policy: '',
      rows: 1,
      bytes,
      lastUsed: new Date(Date.UTC(2026, 0, day)),
    });
    const entries = [entry('c', 10, 3), entry('b', 20, 2), entry('a', 5, 1)];
    const names = (options: Parameters<typeof prunable>[1]) => prunable(entries, options).map(({ name }) => name);
    expect(names({ usedSince: new Date(Date.UTC(2026, 0, 2)) })).toEqual(['a']);
    expect(names({ maxBytes: 15 })).toEqual(['b']);
    expect(names({ maxBytes: 0 })).toEqual(['c', 'b', 'a']);
    expect(names({})).toEqual([]);
  });

  it('lies where the system keeps what can be made again', () => {
    expect(defaultCacheFolder({ ORT_TL_CACHE: '/x' }, 'linux')).toBe('/x');
    expect(defaultCacheFolder({ XDG_CACHE_HOME: '/c' }, 'linux')).toBe(join('/c', 'ort-tl'));
    expect(defaultCacheFolder({}, 'darwin')).toMatch(/Library.Caches.ort-tl$/);
    expect(defaultCacheFolder({ LOCALAPPDATA: 'L' }, 'win32')).toBe(join('L', 'ort-tl', 'Cache'));
  });
});
