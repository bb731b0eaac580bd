import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { loadArtifacts } from '../../src/artifacts/load.js';
import { drawPictures } from '../../src/data/pictures.js';
import { readModel } from '../../src/onnx/model.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { NO_MOUNT, type SmallDisk, smallDisk } from '../mounts.js';
import { SMALL_CNN } from '../models.js';
import { cli, expectRefusal, filesBelow, folder, main } from './cli.js';

const PAGE = 4096;
const ROOM = 64 * 2 ** 20;
/** Pages of a run's lock and marker. */
const OWN_PAGES = 2;

let pictures: string;
let whole: string;
const train = (out: string) => [
  ...['train', '--model', SMALL_CNN, '--data', pictures, '--policy', 'F1C0', '--epochs', '2', '--threads', '1'],
  ...['--out', out],
];
const weights = (run: string) => readFileSync(join(run, 'last', 'checkpoint.safetensors')).subarray(-500);

beforeAll(async () => {
  pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 6, valPerClass: 3, size: 48, seed: 1 });
  whole = join(folder(), 'whole');
  expect(cli(train(whole)).status).toBe(0);
});

const disks: SmallDisk[] = [];
afterEach(() => {
  for (const disk of disks.splice(0)) disk.unmount();
});

/** Mounts a disk for the test, or skips it. */
function mounted(context: TestContext, bytes: number): SmallDisk {
  const disk = smallDisk(bytes);
  if (!disk) return context.skip(NO_MOUNT);
  disks.push(disk);
  return disk;
}

/** What files take on a disk of pages, in bytes. */
const pagesOf = (paths: readonly string[]) =>
  paths.reduce((sum, path) => sum + PAGE * Math.ceil(statSync(path).size / PAGE), 0);

/** Expects that whatever stands there is whole. */
function expectWhole(run: string): void {
  if (!existsSync(run)) return;
  for (const path of filesBelow(run)) {
    expect(path).not.toMatch(/\.partial$/);
    if (path.endsWith('.safetensors')) readSafetensors(path);
    if (path.endsWith('.onnx')) readModel(path);
    if (path.endsWith('.json')) JSON.parse(readFileSync(path, 'utf8'));
    if (/\.(jsonl|csv)$/.test(path)) expect(readFileSync(path, 'utf8')).toMatch(/^$|\n$/);
    if (path.endsWith('.jsonl'))
      for (const line of readFileSync(path, 'utf8').split('\n').slice(0, -1)) JSON.parse(line);
  }
  if (existsSync(join(run, 'artifacts'))) loadArtifacts(join(run, 'artifacts'));
}

describe('on a full disk', () => {
  it('a run says so wherever it is, keeps what it has whole, and goes on when there is room', (context) => {
    const disk = mounted(context, ROOM);
    const out = join(disk.folder, 'run');
    const artifacts = pagesOf(filesBelow(join(whole, 'artifacts')));
    const all = pagesOf(filesBelow(whole));
    // Nothing; some pages more than the artifacts, through two epochs; then a part of the model, and of what is told of the run.
    const pages = [3, 8, 11, 100];
    const rooms = [
      ...[1, OWN_PAGES].map((count) => count * PAGE),
      ...pages.map((count) => artifacts + (OWN_PAGES + count) * PAGE),
      all - 4 * PAGE,
    ];
    const named = new Set<string>();
    for (const room of rooms) {
      disk.resize(room);
      const stopped = cli(train(out));
      expectRefusal(
        stopped,
        /cannot write .*: ENOSPC: no space left on device; free some space, or choose a folder on another disk \(--out\)$/,
        `${room} bytes`,
      );
      named.add(/cannot write .*\/run\/([^:]+): /.exec(stopped.stderr)?.[1] ?? '');
      expectWhole(out);
      const results = join(out, 'results.csv');
      const before = existsSync(results) ? readFileSync(results, 'utf8') : '';

      disk.resize(ROOM);
      const goesOn = existsSync(join(out, 'args.yaml')) ? ['train', '--resume', out] : train(out);
      expect(cli(goesOn)).toMatchObject({ status: 0, stderr: '' });
      expect(weights(out)).toEqual(weights(whole));
      // What the first run had finished was not done again.
      expect(readFileSync(results, 'utf8').startsWith(before)).toBe(true);
      spawnSync('rm', ['-r', out]);
    }
    expect([...named]).toEqual(
      expect.arrayContaining([
        'artifacts/frozen.onnx',
        'best/next.safetensors',
        'last/checkpoint.safetensors',
        'results.csv',
        'model.onnx',
      ]),
    );
  }, 300_000);

  it('compiling leaves nothing behind, and an earlier result as it was', (context) => {
    const disk = mounted(context, ROOM);
    const out = join(disk.folder, 'some', 'artifacts');
    const compile = (...flags: string[]) =>
      cli(['compile', '--model', SMALL_CNN, '--classes', 'cat,dog', '--out', out, ...flags]);
    disk.resize(600 * PAGE);
    expectRefusal(compile(), /cannot write .*some\/artifacts\/\w+\.\w+: ENOSPC.*free some space/);
    expect(readdirSync(disk.folder)).toEqual([]);

    expect(compile('--policy', 'F1C0').status).toBe(0);
    const before = loadArtifacts(out).manifest;
    expectRefusal(compile('--policy', 'F1C0', '--seed', '1'), /ENOSPC/);
    expect(loadArtifacts(out).manifest).toEqual(before);
    expect(filesBelow(disk.folder).map((path) => dirname(path))).toEqual(filesBelow(disk.folder).map(() => out));
  });

  it.skipIf(!existsSync('/dev/full'))('predicting says so', () => {
    const model = join(whole, 'model.onnx');
    for (const flags of ['--csv', '--json', '']) {
      const { status, stderr } = spawnSync(
        'sh',
        ['-c', `"$0" "$1" predict --model "$2" "$3" ${flags} > /dev/full`, process.execPath, main, model, pictures],
        { encoding: 'utf8' },
      );
      expect(stderr).toBe('ort-tl: cannot write the result: ENOSPC: no space left on device; free some space\n');
      expect(status).toBe(2);
    }
  });

  it('explaining and drawing leave no half picture', (context) => {
    const disk = mounted(context, 2 * PAGE);
    const photo = filesBelow(pictures).find((path) => path.endsWith('.jpg')) ?? '';
    const flags = ['--model', join(whole, 'model.onnx'), photo, '--out', join(disk.folder, 'maps')];
    disk.resize(PAGE);
    expectRefusal(cli(['explain', ...flags]), /cannot write .*\.explained\.png: ENOSPC/);
    expectRefusal(cli(['demo', '--out', disk.folder]), /cannot draw the pictures in .*: ENOSPC.*free some space/);
    expect(readdirSync(disk.folder)).toEqual([]);
  });
});

describe('where the output folder cannot be written', () => {
  it('a read-only disk is named, with what to do', (context) => {
    const disk = mounted(context, ROOM);
    const run = join(disk.folder, 'run');
    cpSync(whole, run, { recursive: true });
    // One that has ended by itself would need nothing to be written.
    rmSync(join(run, 'summary.json'));
    disk.makeReadOnly();
    const before = filesBelow(disk.folder).map((path) => statSync(path).mtimeMs);
    const refusal = /cannot write .*: EROFS: read-only file system; choose a folder that you may write to \(--out\)$/;
    const photo = filesBelow(pictures).find((path) => path.endsWith('.jpg')) ?? '';
    expectRefusal(cli(train(join(disk.folder, 'other'))), refusal);
    expectRefusal(cli(['train', '--resume', run]), refusal);
    expectRefusal(cli([...train(run), '--overwrite']), refusal);
    expectRefusal(cli(['compile', '--model', SMALL_CNN, '--classes', 'a,b', '--out', join(run, 'compiled')]), refusal);
    expectRefusal(cli(['explain', '--model', join(run, 'model.onnx'), photo, '--out', run]), refusal);
    expect(filesBelow(disk.folder).map((path) => statSync(path).mtimeMs)).toEqual(before);
    // Reading needs no more.
    expect(cli(['eval', '--model', join(run, 'model.onnx'), '--data', pictures]).status).toBe(0);
  });

  it("another user's folder is named, and so are photos and a model that may not be read", (context) => {
    if (process.getuid?.() !== 0) return context.skip('only root can run a command as another user');
    const at = folder();
    chmodSync(at, 0o755);
    const nobody = (...args: string[]) =>
      spawnSync(
        'setpriv',
        ['--reuid', '65534', '--regid', '65534', '--clear-groups', process.execPath, main, ...args],
        {
          encoding: 'utf8',
          cwd: at,
          env: { ...process.env, HOME: at },
        },
      );
    if (nobody('--version').status !== 0) return context.skip('the checkout is out of reach for another user');
    cpSync(pictures, join(at, 'pictures'), { recursive: true });
    cpSync(SMALL_CNN, join(at, 'model.onnx'));
    const flags = ['train', '--model', 'model.onnx', '--data', 'pictures', '--policy', 'F1C0', '--epochs', '1'];
    expectRefusal(
      nobody(...flags, '--out', 'run'),
      /cannot write run.*: EACCES: permission denied; choose a folder that you may write to \(--out\)$/,
    );
    chmodSync(join(at, 'model.onnx'), 0o600);
    expectRefusal(nobody(...flags, '--out', 'run'), /model\.onnx.*EACCES: permission denied/);
    chmodSync(join(at, 'pictures', 'train', 'boat'), 0o700);
    expectRefusal(nobody(...flags, '--out', 'run'), /cannot open the folder pictures\/train\/boat: EACCES/);
    expect(existsSync(join(at, 'run'))).toBe(false);
  });

  it('a file in its place is named', () => {
    const file = join(folder(), 'file');
    writeFileSync(file, '');
    mkdirSync(join(dirname(file), 'empty'));
    expectRefusal(cli(train(file)), /cannot write .*: ENOTDIR: not a directory; choose another folder/);
    expectRefusal(cli(train(join(file, 'run'))), /cannot write .*: ENOTDIR: not a directory; choose another folder/);
    expect(statSync(file).size).toBe(0);
  });
});
