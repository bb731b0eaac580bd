import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { SMALL_CNN } from '../models.js';
import { cli, cliHere, expectRefusal, filesBelow, folder, main } from './cli.js';

let home: string;
const at = (...names: string[]) => join(home, ...names);

beforeAll(async () => {
  home = folder();
  await drawPictures(at('photos'), { set: 'demo', trainPerClass: 4, valPerClass: 2, size: 48, seed: 1 });
  const classes = readdirSync(at('photos', 'train')).sort().join();
  const { status } = await cliHere([
    'compile',
    '--model',
    SMALL_CNN,
    '--policy',
    'F1C1',
    '--classes',
    classes,
    '--out',
    at('art'),
  ]);
  expect(status).toBe(0);
});

const fit = (...args: string[]) => cliHere(['fit', at('art'), ...args], home);
const json = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;

it('takes rounds: parameters in, parameters out, with features from the cache, and makes a model of the end', async () => {
  const first = await fit('--epochs', '0', '--out', 'first', '--json');
  expect(first.status).toBe(0);
  const { fingerprint } = JSON.parse(first.stdout) as { fingerprint: string };
  expect(fingerprint).toMatch(/^[0-9a-f]{16}$/);
  const round = ['--data', at('photos'), '--cache', at('cache'), '--quiet'];
  expect((await fit(...round, '--parameters', 'first/parameters.safetensors', '--out', 'one')).status).toBe(0);
  expect(json(at('one', 'fit.json'))).toMatchObject({ fingerprint, features: { computed: 36, kept: 0 } });
  // In place: a device that keeps one folder.
  expect((await fit(...round, '--parameters', 'one/parameters.safetensors', '--out', 'one')).status).toBe(0);
  expect(json(at('one', 'fit.json'))).toMatchObject({ fingerprint, features: { computed: 0, kept: 36 } });
  expect(readdirSync(at('one')).sort()).toEqual(['fit.json', 'parameters.safetensors']);
  const tuned = ['--export', at('tuned.onnx'), '--model', SMALL_CNN];
  const end = await fit(
    ...round,
    '--epochs',
    '0',
    '--parameters',
    'one/parameters.safetensors',
    '--out',
    'end',
    ...tuned,
  );
  expect(end.status).toBe(0);
  const told = json(at('end', 'fit.json')) as { before: { top1: number } };
  const evaluated = await cliHere(['eval', '--model', at('tuned.onnx'), '--data', at('photos'), '--json']);
  expect(JSON.parse(evaluated.stdout)).toMatchObject({ top1: told.before.top1 });
});

it('refuses in one line what does not fit, and writes nothing', async () => {
  const out = ['--out', at('refused')];
  expectRefusal(await fit('--data', at('photos')), /--out/);
  expectRefusal(await fit(...out), /expected photos to train with \(--data\)/);
  expectRefusal(
    await cliHere(['fit', at('photos'), '--epochs', '0', ...out]),
    /does not hold whole training artifacts/,
  );
  mkdirSync(at('other', 'zebra'), { recursive: true });
  mkdirSync(at('other', 'boat'), { recursive: true });
  const [photo = ''] = filesBelow(at('photos', 'train', 'boat'));
  for (const name of ['boat', 'zebra']) writeFileSync(at('other', name, '1.jpg'), readFileSync(photo));
  expectRefusal(
    await fit('--data', at('other'), ...out),
    /class "zebra" of .*other is none that the artifacts were compiled for/,
  );
  writeFileSync(at('bad.safetensors'), 'no parameters');
  expectRefusal(
    await fit('--epochs', '0', '--parameters', at('bad.safetensors'), ...out),
    /not a whole safetensors file/,
  );
  expectRefusal(await fit('--data', at('photos'), '--lr', '-1', ...out), /--lr/);
  expectRefusal(await fit('--data', at('photos'), '--proximal', '-1', ...out), /--proximal/);
  expectRefusal(await fit('--data', at('photos'), '--out', at('photos', 'boat')), /lies in the folder of the photos/);
  expectRefusal(await fit('--epochs', '0', ...out, '--export', at('tuned.onnx')), /--export and --model together/);
  expectRefusal(
    await fit('--data', at('photos'), '--lr', '1e12', '--epochs', '4', ...out),
    /the loss .* nothing is written/,
  );
  expect(existsSync(at('refused'))).toBe(false);
  mkdirSync(at('mine'));
  writeFileSync(at('mine', 'parameters.safetensors'), 'of somebody else');
  expectRefusal(
    await fit('--epochs', '0', '--out', at('mine')),
    /holds parameters.safetensors, which .* ort-tl did not write/,
  );
});

describe.skipIf(process.platform === 'win32')('stopped', () => {
  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGKILL', null],
  ] as const)('by %s while it trains, leaves what was there before', async (signal, code) => {
    const out = folder();
    expect(cli(['fit', at('art'), '--epochs', '0', '--out', out]).status).toBe(0);
    const before = filesBelow(out).map((path) => readFileSync(path, 'base64'));
    const words = [
      'fit',
      at('art'),
      '--data',
      at('photos'),
      '--epochs',
      '100000',
      '--events',
      '--no-cache',
      '--out',
      out,
    ];
    const running = spawn(process.execPath, [main, ...words], { cwd: home });
    let told = '';
    running.stdout.setEncoding('utf8').on('data', (text: string) => {
      const isFirst = !told.includes('"fitted"');
      told += text;
      if (isFirst && told.includes('"fitted"')) running.kill(signal);
    });
    await once(running, 'close');
    expect(running.exitCode).toBe(code);
    expect(filesBelow(out).map((path) => readFileSync(path, 'base64'))).toEqual(before);
    expect(readSafetensors(join(out, 'parameters.safetensors')).tensors.size).toBeGreaterThan(0);
  });
});
