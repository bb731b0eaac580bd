import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, openSync, readdirSync, writeFileSync, writeSync, closeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { listCache } from '../../src/cache/cacheFolder.js';
import { FeatureStore, type Layout, storeFolder } from '../../src/cache/featureStore.js';
import { mergeCaches } from '../../src/cache/mergeCaches.js';
import { resultOf } from '../../src/resultOf.js';
import { cliHere, expectRefusal } from '../cli/cli.js';
import { NO_MOUNT, type SmallDisk, smallDisk } from '../mounts.js';

const ELEMENTS = 1024;
const layoutOf = (fingerprint: string): Layout => ({
  format: 1,
  runtime: 'a runtime',
  values: [{ fingerprint, dtype: 'float32', shape: [ELEMENTS] }],
  model: 'net.onnx',
  policy: 'F1C1',
});
const layout = layoutOf('first');
const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));
const keyOf = (number: number) => createHash('sha256').update(String(number)).digest('hex');
const rowOf = (number: number) => new Uint8Array(new Float32Array(ELEMENTS).fill(number).buffer);

const disks: SmallDisk[] = [];
afterEach(() => {
  for (const disk of disks.splice(0)) disk.unmount();
});

/** A cache with these rows. */
async function cacheOf(numbers: readonly number[], of = layout, root = folder()): Promise<string> {
  const store = await FeatureStore.open(storeFolder(root, of), of);
  for (const number of numbers) await store.append(keyOf(number), [rowOf(number)]);
  await store.close();
  return root;
}

/** The numbers of rows that are whole. */
async function wholeIn(root: string, most: number, of = layout): Promise<number[]> {
  const store = await FeatureStore.open(storeFolder(root, of), of);
  const found: number[] = [];
  for (let number = 0; number < most; number++) {
    const into = new Float32Array(ELEMENTS);
    const place = store.find(keyOf(number));
    if (
      place &&
      (await store.readChecked(place, [new Uint8Array(into.buffer)])) &&
      into.every((each) => each === number)
    )
      found.push(number);
  }
  await store.close();
  return found;
}

const damage = (root: string, row: number, of = layout) => {
  const at = storeFolder(root, of);
  const rows = readdirSync(at).find((name) => name.endsWith('.rows')) ?? '';
  const file = openSync(join(at, rows), 'r+');
  writeSync(file, 'damaged', 4 * ELEMENTS * row + 100);
  closeSync(file);
};

it('joins the rows of caches, each kind apart, leaves damaged ones out, and says so', async () => {
  const to = await cacheOf([0, 1]);
  const [one, other] = [await cacheOf([1, 2, 3]), await cacheOf([3, 4, 5])];
  await cacheOf([7], layoutOf('second'), other);
  damage(one, 1);
  damage(other, 2);
  const unknown = join(other, 'unknown');
  mkdirSync(unknown);
  writeFileSync(join(unknown, 'layout.json'), '{');
  mkdirSync(join(other, 'no store'));
  const { stores, unreadable } = await resultOf(mergeCaches([one, other], to));
  const told = stores.map(({ from, added, known, damaged }) => [from === one ? 'one' : 'other', added, known, damaged]);
  expect(told.sort()).toEqual([
    ['one', 1, 1, 1],
    ['other', 1, 0, 0],
    ['other', 1, 1, 1],
  ]);
  expect(unreadable).toEqual([unknown]);
  expect(await wholeIn(to, 8)).toEqual([0, 1, 3, 4]);
  expect(await wholeIn(to, 8, layoutOf('second'))).toEqual([7]);
  expect((await listCache(to)).map(({ rows }) => rows).sort()).toEqual([1, 4]);
  // What it was taken from is as it was, and there is nothing more to add.
  expect(await wholeIn(other, 8)).toEqual([3, 4]);
  const again = await cliHere(['cache', 'merge', one, other, '--cache', to]);
  expect(again.status).toBe(0);
  expect(again.stdout).toContain(`0 rows added to ${to}`);
  expect(again.stdout).toContain('1 damaged and left out');
  expect(again.stderr).toContain('is left out: its layout is damaged');
});

it('takes a row from where it is whole', async () => {
  const [one, other, to] = [await cacheOf([1, 2]), await cacheOf([2, 1]), folder()];
  damage(one, 0);
  await resultOf(mergeCaches([one, other], to));
  expect(await wholeIn(to, 3)).toEqual([1, 2]);
});

it('refuses itself, what is no folder, and no folder at all, in one line', async () => {
  const cache = await cacheOf([1]);
  expectRefusal(await cliHere(['cache', 'merge', cache, '--cache', cache]), /is the cache that rows are added to/);
  expectRefusal(
    await cliHere(['cache', 'merge', join(cache, 'none'), '--cache', folder()]),
    /is no folder that can be read/,
  );
  expectRefusal(await cliHere(['cache', 'merge', '--cache', cache]), /expected folders of other caches/);
  expectRefusal(await cliHere(['cache', 'ls', cache]), /names are for rm and merge/);
});

it('on a full disk says so in one line, and loses nothing', async (context) => {
  const disk = smallDisk(1024 ** 2);
  if (!disk) return context.skip(NO_MOUNT);
  disks.push(disk);
  const to = await cacheOf([0, 1], layout, join(disk.folder, 'cache'));
  const from = await cacheOf(Array.from({ length: 400 }, (_, number) => number));
  expectRefusal(await cliHere(['cache', 'merge', from, '--cache', to]), /MB free|ENOSPC|the disk is full/);
  const whole = await wholeIn(to, 400);
  expect(whole.slice(0, 2)).toEqual([0, 1]);
  expect(await wholeIn(from, 400)).toHaveLength(400);
});
