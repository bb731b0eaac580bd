import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { FeatureStore, readLayout } from '../../src/cache/featureStore.js';
import { drawPictures } from '../../src/data/pictures.js';
import { Random } from '../../src/random.js';
import { SMALL_CNN } from '../models.js';
import { cliHere, expectRefusal, folder, main } from './cli.js';

/** How often two of four processes are killed. */
const TRIES = 10;
const PHOTOS = 60;

let photos: string;
beforeAll(async () => {
  photos = join(folder(), 'photos');
  await drawPictures(photos, { set: 'demo', trainPerClass: 8, valPerClass: 2, size: 48, seed: 1 });
});

const words = (cache: string, ...more: string[]) => [
  ...['features', SMALL_CNN, '--data', photos, '--policy', 'F1C1', '--threads', '1', '--cache', cache, '--json'],
  ...more,
];
const start = (cache: string, ...more: string[]) =>
  spawn(process.execPath, [main, ...words(cache, ...more)], { stdio: ['ignore', 'ignore', 'inherit'] });

interface Told {
  readonly photos: number;
  readonly computed: number;
  readonly kept: number;
}
async function here(cache: string, ...more: string[]): Promise<Told> {
  const { status, stdout, stderr } = await cliHere(words(cache, ...more));
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout) as Told;
}

/** All rows of a cache with one store, by their keys; none may be other than what its checksum says. */
async function rowsOf(cache: string): Promise<Map<string, string>> {
  const [name = ''] = readdirSync(cache);
  const layout = readLayout(join(cache, name));
  if (!layout) throw new Error('no layout');
  const store = await FeatureStore.open(join(cache, name), layout);
  const rows = new Map<string, string>();
  for (const key of store.keys) {
    const row = Buffer.alloc(store.rowBytes);
    const place = store.find(key);
    if (place && (await store.readChecked(place, [row]))) rows.set(key, row.toString('base64'));
  }
  await store.close();
  return rows;
}

it('computes each part once, together as one alone does, and a training finds all of them', async () => {
  const [alone, shared] = [folder(), folder()];
  expect(await here(alone)).toMatchObject({ photos: PHOTOS, computed: PHOTOS, kept: 0 });
  let computed = 0;
  for (let index = 1; index <= 4; index++) computed += (await here(shared, '--shard', `${index}/4`)).computed;
  expect(computed).toBe(PHOTOS);
  expect(await rowsOf(shared)).toEqual(await rowsOf(alone));
  const out = join(folder(), 'run');
  const flags = ['--model', SMALL_CNN, '--data', photos, '--policy', 'F1C1', '--epochs', '1', '--threads', '1'];
  const trained = await cliHere(['train', ...flags, '--cache', shared, '--out', out]);
  expect(trained.status).toBe(0);
  const events = readFileSync(join(out, 'events.jsonl'), 'utf8').trim().split('\n');
  const cache = events.map((line) => JSON.parse(line) as { type: string }).find(({ type }) => type === 'cache');
  expect(cache).toMatchObject({ rows: PHOTOS, neededBytes: 0 });
  expect((await rowsOf(shared)).size).toBe(PHOTOS);
});

it('keeps views, and refuses what no training needs again, and a shard that is none, in one line', async () => {
  const cache = folder();
  expect(await here(cache, '--flip', '0.5', '--views', '2')).toMatchObject({ photos: PHOTOS, computed: 2 * 48 + 12 });
  expect(await here(cache, '--flip', '0.5', '--views', '2', '--shard', '3/5')).toMatchObject({ computed: 0 });
  expectRefusal(await cliHere(words(cache, '--flip', '0.5')), /every epoch .* has new views .*--views/);
  expectRefusal(await cliHere(words(cache, '--shard', '5/4')), /expected a shard from 1 to 4/);
});

it('by four processes at once, whole and in shards, has the rows of one alone', { timeout: 100_000 }, async () => {
  const alone = folder();
  await here(alone);
  for (const shards of [true, false]) {
    const cache = folder();
    const all = [1, 2, 3, 4].map((index) => start(cache, ...(shards ? ['--shard', `${index}/4`] : [])));
    for (const [code] of await Promise.all(all.map((each) => once(each, 'exit')))) expect(code).toBe(0);
    expect(await rowsOf(cache)).toEqual(await rowsOf(alone));
    expect(await here(cache)).toMatchObject({ computed: 0, kept: PHOTOS });
  }
});

it.skipIf(process.platform === 'win32')(
  'of which two are killed, ten times, is completed by one more, and trusts no half row',
  { timeout: 200_000 },
  async () => {
    const alone = folder();
    await here(alone);
    const expected = await rowsOf(alone);
    const random = new Random(1);
    for (let tries = 0; tries < TRIES; tries++) {
      const cache = folder();
      const all = [1, 2, 3, 4].map((index) => start(cache, '--shard', `${index}/4`));
      const ended = all.map((each) => once(each, 'exit'));
      // Once rows are being written, at a moment of some tens of milliseconds.
      const hasRows = () =>
        readdirSync(cache, { recursive: true, encoding: 'utf8' }).some((name) => name.endsWith('.rows'));
      while (!hasRows()) await sleep(1);
      await sleep(150 * random.next());
      for (const each of all.slice(0, 2)) each.kill('SIGKILL');
      await Promise.all(ended);
      for (const [key, row] of await rowsOf(cache)) expect(row).toBe(expected.get(key));
      const { computed, kept } = await here(cache);
      expect(computed + kept).toBe(PHOTOS);
      expect(await rowsOf(cache)).toEqual(expected);
    }
  },
);
