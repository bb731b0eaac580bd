import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { SMALL_CNN } from '../models.js';
import { cliHere, folder, main } from './cli.js';

const train = (cache: string, ...args: string[]) =>
  spawnSync(process.execPath, [main, 'train', ...args], {
    encoding: 'utf8',
    cwd: folder(),
    env: { ...process.env, ORT_TL_CACHE: cache },
  });
afterEach(() => vi.unstubAllEnvs());

it('keeps features unless told not to, says so, lists and removes them', async () => {
  const [cache, pictures] = [folder(), join(folder(), 'pictures')];
  await drawPictures(pictures, { set: 'demo', trainPerClass: 4, valPerClass: 2, size: 48, seed: 1 });
  const flags = ['--model', SMALL_CNN, '--data', pictures, '--epochs', '1'];
  vi.stubEnv('ORT_TL_CACHE', cache);
  const lines = (text: string) => text.trim().split('\n');

  expect(train(cache, ...flags, '--no-cache').stdout).not.toContain('features');
  expect(readdirSync(cache)).toEqual([]);
  expect((await cliHere(['cache', 'ls'])).stdout).toBe(`${cache} holds no features\n`);
  // 36 photos of 128 × 8 × 8 numbers of four bytes.
  expect(train(cache, ...flags).stdout).toContain(
    'features: 1.2 MB for 36 photos and views, of which 1.2 MB are to be written to',
  );
  expect(train(cache, ...flags).stdout).toContain(`features: 1.2 MB for 36 photos and views, in ${cache}`);
  const other = folder();
  expect(train(cache, ...flags, '--cache', other, '--cache-dtype', 'float16').stdout).toContain(`written to ${other}`);

  const listed = await cliHere(['cache', 'ls', '--json']);
  const [entry] = JSON.parse(listed.stdout) as { name: string; rows: number; model: string; policy: string }[];
  expect(entry).toMatchObject({ rows: 36, model: 'small_cnn.onnx', policy: 'F1C1' });
  expect(lines((await cliHere(['cache', 'ls'])).stdout)).toHaveLength(3);
  expect((await cliHere(['cache', 'prune', '--older-than', '1h'])).stdout).toContain('removed 0 of 1');
  for (const args of [
    ['rm'],
    ['rm', 'nothing'],
    ['prune'],
    ['ls', '--all'],
    ['prune', '--max-size', 'much'],
    ['wipe'],
  ]) {
    const { status, stderr } = await cliHere(['cache', ...args]);
    expect(status, args.join(' ')).toBe(2);
    expect(lines(stderr), args.join(' ')).toHaveLength(1);
  }
  expect((await cliHere(['cache', 'rm', entry?.name ?? ''])).stdout).toContain('removed 1 of 1');
  expect(readdirSync(cache)).toEqual([]);
  expect((await cliHere(['cache', 'prune', '--max-size', '0', '--cache', other])).stdout).toContain('removed 1 of 1');
  expect(existsSync(other)).toBe(true);
});

it('names a cache folder that cannot be', async () => {
  const pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 4, valPerClass: 2, size: 48, seed: 1 });
  const below = join(SMALL_CNN, 'below');
  const { status, stderr } = train(below, '--model', SMALL_CNN, '--data', pictures);
  expect(status).toBe(2);
  expect(stderr).toContain(`cannot use ${below} as the cache`);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});
