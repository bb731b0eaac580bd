import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { compactSegments } from '../../src/cache/compaction.js';
import { FeatureStore, type Layout } from '../../src/cache/featureStore.js';
import { Slots } from '../../src/runtime/slots.js';
import { NO_MOUNT, type SmallDisk, smallDisk } from '../mounts.js';

const layout: Layout = {
  format: 1,
  runtime: 'a runtime',
  values: [{ fingerprint: 'only', dtype: 'float32', shape: [3] }],
  model: 'net.onnx',
  policy: 'F1C1',
};
const ROW_BYTES = 12;
const DAY_MS = 24 * 3600_000;
const folder = () => join(mkdtempSync(join(tmpdir(), 'ort-tl-')), 'store');
const keyOf = (number: number) => createHash('sha256').update(String(number)).digest('hex');
const rowOf = (number: number) => [new Uint8Array(Float32Array.of(number, -number, 0.5).buffer)];
const open = (at: string) => FeatureStore.open(at, layout);
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
const named = (at: string, ending: string) => readdirSync(at).filter((name) => name.endsWith(ending));

/** What a store gives for each of the first `count` rows; undefined where it has none, or not a whole one. */
async function read(store: FeatureStore, count: number): Promise<(number | undefined)[]> {
  return Promise.all(
    numbers(count).map(async (number) => {
      const into = new Float32Array(3);
      const place = store.find(keyOf(number));
      const isWhole = place && (await store.readChecked(place, [new Uint8Array(into.buffer)]));
      return isWhole ? into[0] : undefined;
    }),
  );
}

async function readAnew(at: string, count: number): Promise<(number | undefined)[]> {
  const store = await open(at);
  try {
    return await read(store, count);
  } finally {
    await store.close();
  }
}

/** A run that adds one row; one that is killed does not seal its segment. */
async function run(at: string, number: number, { isKilled = false } = {}): Promise<void> {
  const store = await open(at);
  await store.append(keyOf(number), rowOf(number));
  await store.close();
  if (isKilled) for (const name of named(at, '.sealed')) rmSync(join(at, name));
}

describe('a store of many runs', () => {
  it.runIf(existsSync('/proc/self/fd'))('opens few of 300 segments at once, and reads them all', async () => {
    const at = folder();
    for (const number of numbers(300)) await run(at, number, { isKilled: true });
    const before = readdirSync('/proc/self/fd').length;
    const store = await open(at);
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, readdirSync('/proc/self/fd').length - before)), 1);
    expect(await read(store, 300)).toEqual(numbers(300));
    clearInterval(watch);
    most = Math.max(most, readdirSync('/proc/self/fd').length - before);
    expect(most).toBeLessThanOrEqual(10);
    expect(named(at, '.index')).toHaveLength(300);
    await store.close();
  });

  it('makes few segments of many small ones, with every row', async () => {
    const at = folder();
    for (const number of numbers(40)) await run(at, number);
    expect(named(at, '.rows').length).toBeLessThanOrEqual(9);
    expect(named(at, '.index').length).toBeLessThanOrEqual(9);
    expect(named(at, '.partial')).toEqual([]);
    expect(await readAnew(at, 41)).toEqual([...numbers(40), undefined]);
  });

  it('leaves alone what another may still add to, for a day', async () => {
    const at = folder();
    for (const number of numbers(12)) await run(at, number, { isKilled: true });
    await compactSegments(at, ROW_BYTES);
    expect(named(at, '.index')).toHaveLength(12);
    await compactSegments(at, ROW_BYTES, Date.now() + DAY_MS + 1000);
    expect(named(at, '.index')).toHaveLength(4);
    expect(await readAnew(at, 12)).toEqual(numbers(12));
  });

  it('takes over the whole rows of damaged segments, each once', async () => {
    const at = folder();
    for (const number of numbers(9)) await run(at, number, { isKilled: true });
    // Of one the row is another, of one the end of the index is cut off, of one the index is gone.
    const [rows = '', second = '', third = ''] = named(at, '.index').map((name) => join(at, name.slice(0, -6)));
    writeFileSync(`${rows}.rows`, new Uint8Array(ROW_BYTES));
    writeFileSync(`${second}.index`, new Uint8Array(39));
    rmSync(`${third}.index`);
    const before = await readAnew(at, 9);
    const whole = before.flatMap((number) => number ?? []);
    expect(whole).toHaveLength(6);
    await run(at, whole[0] ?? 0);
    await compactSegments(at, ROW_BYTES, Date.now() + DAY_MS + 1000);
    expect(named(at, '.index').length).toBeLessThan(9);
    expect(await readAnew(at, 9)).toEqual(before);
  });

  it('reads on where another process makes one segment of those that it has listed', async () => {
    const at = folder();
    for (const number of numbers(20)) await run(at, number, { isKilled: true });
    const store = await open(at);
    const [first] = await read(store, 1);
    expect(first).toBe(0);
    await compactSegments(at, ROW_BYTES, Date.now() + DAY_MS + 1000);
    expect(named(at, '.index').length).toBeLessThan(20);
    // Several rows in one read too, as those of a batch are.
    expect(await read(store, 20)).toEqual(numbers(20));
    await store.close();
  });

  it('reads several rows at once whose segment has become a part of another', async () => {
    const at = folder();
    const writer = await open(at);
    for (const number of numbers(5)) await writer.append(keyOf(number), rowOf(number));
    await writer.close();
    for (const number of numbers(9)) await run(at, 100 + number, { isKilled: true });
    const store = await open(at);
    const slots = new Slots([{ name: 'only', dtype: 'float32', shape: [3] }], 5, store, 0);
    const row = slots.buffers(1);
    for (const number of numbers(5)) slots.put(number, row, 0, store.find(keyOf(number)));
    await compactSegments(at, ROW_BYTES, Date.now() + DAY_MS + 1000);
    const buffers = slots.buffers(5);
    await slots.gather(Int32Array.of(0, 1, 2, 3, 4), buffers);
    expect([...(buffers[0] ?? [])].filter((_, index) => index % 3 === 0)).toEqual([0, 1, 2, 3, 4]);
    await store.close();
  });

  it('says that rows are gone where the cache was removed in use, and reads no others', async () => {
    const at = folder();
    await run(at, 0);
    await run(at, 1);
    const store = await open(at);
    const place = store.find(keyOf(1));
    for (const name of named(at, '')) if (!name.endsWith('.json')) rmSync(join(at, name));
    await expect(store.read(place ?? { file: 0, position: 0, checksum: 0 }, rowOf(0))).rejects.toMatchObject({
      code: 'bad-cache',
    });
    expect(await read(store, 2)).toEqual([undefined, undefined]);
    await store.close();
  });

  it('loses nothing where several processes make segments one at once', async () => {
    const at = folder();
    for (const number of numbers(30)) await run(at, number, { isKilled: true });
    const later = Date.now() + DAY_MS + 1000;
    await Promise.all(numbers(4).map(() => compactSegments(at, ROW_BYTES, later)));
    expect(await readAnew(at, 30)).toEqual(numbers(30));
  });

  it('removes what a killed process left of a segment once it is old, and nothing of anybody else', async () => {
    const at = folder();
    await run(at, 0);
    const [left, other] = [join(at, 'abc-0123456789ab.rows'), join(at, 'mine.rows')];
    const index = join(at, 'abc-0123456789ab.index.01234567.partial');
    for (const path of [left, other, index]) writeFileSync(path, 'x');
    await compactSegments(at, ROW_BYTES);
    expect([left, other, index].map((path) => existsSync(path))).toEqual([true, true, true]);
    const old = new Date(Date.now() - 2 * DAY_MS);
    for (const path of [left, other, index]) utimesSync(path, old, old);
    await compactSegments(at, ROW_BYTES);
    expect([left, other, index].map((path) => existsSync(path))).toEqual([false, true, false]);
    expect(await readAnew(at, 1)).toEqual([0]);
  });

  it.each(['layout.json', 'frozen-batch.json'])(
    'removes what a killed process left of %s once it is old',
    async (name) => {
      const at = folder();
      await run(at, 0);
      const left = join(at, `${name}.01234567.partial`);
      writeFileSync(left, '{');
      await compactSegments(at, ROW_BYTES);
      expect(existsSync(left)).toBe(true);
      const old = new Date(Date.now() - 2 * DAY_MS);
      utimesSync(left, old, old);
      await run(at, 1);
      expect(existsSync(left)).toBe(false);
      expect(await readAnew(at, 2)).toEqual([0, 1]);
    },
  );

  it('begins a new segment when it has not added to its own for long', async () => {
    const at = folder();
    const store = await open(at);
    await store.append(keyOf(0), rowOf(0));
    const writing: unknown = Reflect.get(store, 'writing');
    if (typeof writing !== 'object' || writing === null) throw new Error('nothing is written');
    Reflect.set(writing, 'writtenAt', Date.now() - 2 * 3600_000);
    await store.append(keyOf(1), rowOf(1));
    expect(named(at, '.index')).toHaveLength(2);
    expect(named(at, '.sealed')).toHaveLength(1);
    expect(await read(store, 2)).toEqual([0, 1]);
    await store.close();
  });

  it('leaves no files of a run that added nothing', async () => {
    const at = folder();
    const store = await open(at);
    await store.close();
    expect(readdirSync(at)).toEqual(['layout.json']);
  });
});

describe('on a disk that several machines share', () => {
  /** A store with so many sealed segments of a row each. */
  async function withSegments(at: string, count: number): Promise<void> {
    for (const number of numbers(count)) {
      const store = await open(at);
      await store.append(keyOf(number), rowOf(number));
      await store.close();
    }
  }

  it('a clock that is days ahead takes nobody for ended who still adds rows', async () => {
    const at = folder();
    const writer = await open(at);
    await writer.append(keyOf(20), rowOf(20));
    await withSegments(at, 8);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3 * DAY_MS });
    try {
      await (await open(at)).close();
    } finally {
      vi.useRealTimers();
    }
    await writer.append(keyOf(21), rowOf(21));
    await writer.close();
    expect((await readAnew(at, 22)).slice(20)).toEqual([20, 21]);
    expect(await readAnew(at, 8)).toEqual(numbers(8));
  });

  it('a sealed segment whose rows have not all arrived stays as it is', async () => {
    const at = folder();
    await withSegments(at, 9);
    const [rows = ''] = named(at, '.rows').sort();
    const before = join(at, rows);
    const whole = readFileSync(before);
    truncateSync(before, 0);
    await compactSegments(at, ROW_BYTES);
    expect(named(at, '.rows').length).toBeLessThan(9);
    expect(existsSync(before)).toBe(true);
    writeFileSync(before, whole);
    expect(await readAnew(at, 9)).toEqual(numbers(9));
  });
});

describe('on a disk that was full', () => {
  const disks: SmallDisk[] = [];
  afterEach(() => {
    for (const disk of disks.splice(0)) disk.unmount();
  });

  it('keeps the rows behind an entry of which a part was written', async (context) => {
    // Room for a page of each file: the 103rd entry of the index reaches into a second.
    const disk = smallDisk(3 * 4096);
    if (!disk) return context.skip(NO_MOUNT);
    disks.push(disk);
    const at = join(disk.folder, 'store');
    const store = await open(at);
    for (const number of numbers(102)) await store.append(keyOf(number), rowOf(number));
    await expect(store.append(keyOf(102), rowOf(102))).rejects.toMatchObject({ code: 'cache-full' });
    disk.resize(2 ** 20);
    for (const number of [102, 103, 104]) await store.append(keyOf(number), rowOf(number));
    await store.close();
    expect(await readAnew(at, 105)).toEqual(numbers(105));
    expect(named(at, '.index').map((name) => statSync(join(at, name)).size)).toEqual([105 * 40]);
  });
});

describe('reads of many buffers', () => {
  it.each([
    [33, 31],
    [32, 32],
    [41, 25],
    [64, 32],
    [100, 30],
  ])('gathers rows of %i values from disk, %i photos at a time', async (values, photos) => {
    const at = folder();
    const shapes = Array.from({ length: values }, (_, index) => ({
      fingerprint: `value ${index}`,
      dtype: 'uint8' as const,
      shape: [1 + (index % 3)],
    }));
    const store = await FeatureStore.open(at, { ...layout, values: shapes });
    const named = shapes.map(({ fingerprint: name, ...rest }) => ({ name, ...rest }));
    const slots = new Slots(named, photos, store, 0);
    for (const photo of numbers(photos)) {
      const buffers = slots.buffers(1);
      buffers.forEach((buffer, index) => buffer.fill((photo * 7 + index) % 256));
      const row = buffers.map((buffer) => new Uint8Array(buffer.buffer));
      slots.put(photo, buffers, 0, await store.append(keyOf(photo), row));
    }
    const buffers = slots.buffers(photos);
    await slots.gather(Int32Array.from(numbers(photos)), buffers);
    for (const [index, buffer] of buffers.entries()) {
      const size = shapes[index]?.shape[0] ?? 0;
      expect([...buffer]).toEqual(numbers(photos * size).map((place) => (Math.floor(place / size) * 7 + index) % 256));
    }
    await store.close();
  });
});
