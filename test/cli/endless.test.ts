import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readManifest } from '../../src/artifacts/load.js';
import { readRuns } from '../../src/bench/comparedRun.js';
import { Records } from '../../src/bench/records.js';
import { readSuite } from '../../src/bench/suiteFile/readSuite.js';
import { readConfig } from '../../src/cli/config.js';
import { drawPictures } from '../../src/data/pictures.js';
import { readPhoto } from '../../src/data/readPhoto.js';
import { readDelta } from '../../src/export/delta.js';
import { readModel } from '../../src/onnx/model.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { SMALL_CNN } from '../models.js';
import { cli, expectRefusal, folder, main } from './cli.js';

const flags = (known: readonly string[]) => ({ known, switches: [], optional: [] });

let run: string;
beforeAll(async () => {
  const pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 2, valPerClass: 1, size: 32, seed: 1 });
  run = join(folder(), 'run');
  cli(['train', '--model', SMALL_CNN, '--data', pictures, '--policy', 'F1C0', '--epochs', '1', '--out', run]);
});

/** What is no file to read whole: a device, a pipe without a writer, a folder, much too much. */
const endless: readonly (readonly [what: string, make: (path: string) => void])[] = [
  ['an endless device', (path) => symlinkSync('/dev/zero', path)],
  ['a pipe', (path) => spawnSync('mkfifo', [path])],
  ['a folder', (path) => mkdirSync(path)],
  [
    'a file of 3 GB',
    (path) => {
      writeFileSync(path, '');
      truncateSync(path, 3e9);
    },
  ],
];

describe.runIf(process.platform !== 'win32').each(endless)('%s in the place of', (_, make) => {
  it.each<[what: string, name: string, code: string, read: (path: string, folder: string) => unknown]>([
    ['settings', 'settings.yaml', 'bad-config', (path) => readConfig(path, flags(['epochs']))],
    ['a suite', 'suite.yaml', 'bad-suite', (path) => readSuite(path)],
    ["a suite's records", 'results.jsonl', 'bad-suite', (path) => Records.open(path)],
    ['records to compare', 'results.jsonl', 'not-a-run', (path) => readRuns(path)],
    ['a manifest', 'manifest.json', 'bad-artifacts', (_path, place) => readManifest(place)],
    ['a checkpoint', 'checkpoint.safetensors', 'bad-checkpoint', (path) => readSafetensors(path)],
    ['a delta', 'some.delta', '(no-such-file|bad-delta)', (path) => readDelta(path)],
    ['a model', 'model.onnx', '(no-such-file|not-onnx)', (path) => readModel(path)],
    ['a photo', 'some.jpg', 'unreadable-photo', (path) => readPhoto({ path })],
  ])('%s is refused by its name', async (_what, name, code, read) => {
    const place = folder();
    make(join(place, name));
    const refused = Promise.resolve().then(() => read(join(place, name), place));
    await expect(refused).rejects.toMatchObject({
      name: 'UserError',
      code: expect.stringMatching(new RegExp(`^${code}$`)) as string,
      message: expect.stringContaining(name) as string,
    });
  });

  it.each(['summary.json', 'results.csv', 'args.yaml'])('the %s of a run is refused by its name', (name) => {
    const copy = join(folder(), 'copy');
    cpSync(run, copy, { recursive: true });
    rmSync(join(copy, name));
    make(join(copy, name));
    expect(() => readRuns(copy)).toThrow(expect.objectContaining({ code: 'not-a-run' }));
    expect(() => readRuns(copy)).toThrow(name);
  });
});

it.runIf(process.platform !== 'win32')(
  'settings without an end are refused in one line, and take little memory',
  () => {
    const flags = ['--model', SMALL_CNN, '--data', run];
    expectRefusal(
      cli(['train', '--config', '/dev/zero', ...flags]),
      /cannot read \/dev\/zero: it is no regular file.*--config/,
    );
    expectRefusal(cli(['bench', '/dev/random']), /cannot read \/dev\/random: it is no regular file/);
  },
);

/** A kilobyte of YAML that becomes three thousand million words. */
const BOMB = [
  'a: &a [x, x, x, x, x, x, x, x, x]',
  ...Array.from('bcdefghij', (name, index) => {
    const earlier = Array.from({ length: 9 }, () => `*${'abcdefghij'.charAt(index)}`);
    return `${name}: &${name} [${earlier.join(', ')}]`;
  }),
].join('\n');

describe('YAML', () => {
  it.each([
    ['whose aliases have no end', BOMB],
    ['that is nested without end', '['.repeat(1e4)],
    ['that sets a thing twice', 'title: a\nepochs: 1\nepochs: 2\ntitle: b'],
  ])('%s is refused by its name', (_, text) => {
    const path = join(folder(), 'settings.yaml');
    writeFileSync(path, text);
    expect(() => readConfig(path, flags(['epochs', 'title']))).toThrow(path);
    expect(() => readSuite(path)).toThrow(path);
    const copy = join(folder(), 'copy');
    cpSync(run, copy, { recursive: true });
    writeFileSync(join(copy, 'args.yaml'), text);
    expect(() => readRuns(copy)).toThrow('args.yaml is not what a run writes');
  });

  it('of more settings than there are is refused before each is compared with every other, which takes minutes', () => {
    const path = join(folder(), 'settings.yaml');
    writeFileSync(path, Array.from({ length: 3e4 }, (_, at) => `k${at}: 1`).join('\n'));
    expect(() => readConfig(path, flags(['epochs']))).toThrow('line 1: there is no setting `k0`');
    expect(() => readSuite(path)).toThrow(path);
  });

  it('that sets a thing twice is refused with the line and the word', () => {
    const path = join(folder(), 'settings.yaml');
    writeFileSync(path, 'epochs: 1\nseed: 1\nepochs: 2');
    expect(() => readConfig(path, flags(['epochs', 'seed']))).toThrow('line 3: `epochs` is set twice');
    writeFileSync(path, 'models: { cnn: small_cnn, cnn: other }');
    expect(() => readSuite(path)).toThrow('line 1: `cnn` is set twice');
  });
});

it.runIf(process.platform !== 'win32')('standard input without an end is refused', () => {
  const predict = `"${process.execPath}" "${main}" predict --model "${join(run, 'model.onnx')}" -`;
  const { status, stderr } = spawnSync('sh', ['-c', `yes some/photo.jpg | ${predict}`], { encoding: 'utf8' });
  expectRefusal({ status, stdout: '', stderr }, /standard input goes on after 268435456 bytes/);
});
