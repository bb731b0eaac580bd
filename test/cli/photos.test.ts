import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import type { Summary } from '../../src/train/events.js';
import { zipFile } from '../data/zipFile.js';
import { SMALL_CNN } from '../models.js';
import { cli, expectRefusal, folder, main } from './cli.js';

let photos: string[];
beforeAll(async () => {
  const pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 12, valPerClass: 1, size: 32, seed: 3 });
  photos = Array.from({ length: 12 }, (_, at) => join(pictures, 'train', at < 6 ? 'boat' : 'cup', `000${at % 6}.jpg`));
});

/** A folder with the classes, six photos in each, the same in every second one. */
function photosOf(...classes: string[]): string {
  const at = join(folder(), 'photos');
  classes.forEach((name, index) => {
    mkdirSync(join(at, name), { recursive: true });
    for (let photo = 0; photo < 6; photo++)
      cpSync(photos[6 * (index % 2) + photo] ?? '', join(at, name, `${photo}.jpg`));
  });
  return at;
}

const train = (data: string, ...flags: string[]) =>
  cli(
    [
      'train',
      '--model',
      SMALL_CNN,
      '--data',
      data,
      '--policy',
      'F1C0',
      '--epochs',
      '1',
      '--out',
      'run',
      '--json',
      ...flags,
    ],
    join(data, '..'),
  );
const classesOf = ({ stdout }: { stdout: string }) => (JSON.parse(stdout) as Summary).classes;

describe('a folder of photos', () => {
  it('with one photo of a class is refused, and named', () => {
    const data = photosOf('cat', 'dog');
    for (let photo = 1; photo < 6; photo++) rmSync(join(data, 'cat', `${photo}.jpg`));
    expectRefusal(train(data), /class "cat" has one photo only in .*photos.*add photos of it, or a val folder/);
    expect(existsSync(join(data, '..', 'run'))).toBe(false);
  });

  it('with empty files goes on without them where few are, and lists them', () => {
    const data = photosOf('cat', 'dog');
    writeFileSync(join(data, 'cat', '0.jpg'), '');
    expectRefusal(
      train(data),
      /1 of 12 photos could not be read \(.*cat\/0\.jpg\).*mend or remove them, or raise the share/,
    );
    const allowed = train(data, '--max-bad', '0.1');
    expect(allowed.status).toBe(0);
    expect(allowed.stderr).toBe(`skipped: cannot read ${join(data, 'cat', '0.jpg')}: it is empty\n`);
    expect(readFileSync(join(data, '..', 'run', 'skipped.csv'), 'utf8').split('\n')).toHaveLength(3);
  });

  it('without a readable photo of a class is refused, however many bad ones are allowed', () => {
    const data = photosOf('cat', 'dog');
    for (let photo = 0; photo < 6; photo++) writeFileSync(join(data, 'cat', `${photo}.jpg`), '');
    expectRefusal(
      train(data, '--max-bad', '1'),
      /class "cat" has no readable photos to train with in .*mend or replace/,
    );
    for (let photo = 0; photo < 6; photo++) writeFileSync(join(data, 'dog', `${photo}.jpg`), '');
    expectRefusal(train(data, '--max-bad', '1'), /no readable photos to train with/);
  });

  it('may call its classes what it likes', () => {
    const names = ['--epochs', '-dash', 'Käse 🧀', 'a, b', 'it\'s "c"', '日本'];
    const data = photosOf(...names);
    const trained = train(data, '--class-weights', 'balanced');
    expect(trained.status).toBe(0);
    expect([...classesOf(trained)].sort()).toEqual([...names].sort());
    const run = join(data, '..', 'run');
    expect(readFileSync(join(run, 'labels.txt'), 'utf8').trimEnd().split('\n').sort()).toEqual([...names].sort());
    const predicted = cli(
      ['predict', '--model', 'run/model.onnx', 'photos/-dash/0.jpg', '--csv', '--top', '6'],
      join(data, '..'),
    );
    // RFC 4180: quotes are doubled inside quotes.
    expect(predicted.stdout).toContain('"a, b"');
    expect(predicted.stdout).toContain('"it\'s ""c"""');
    cpSync(join(data, '-dash', '0.jpg'), join(data, '..', '-0.jpg'));
    expect(cli(['predict', '--model', 'run/model.onnx', '--', '-0.jpg'], join(data, '..')).status).toBe(0);
  });

  it('may not call them what is no line, or would write over the terminal', () => {
    expectRefusal(
      train(photosOf('cat', 'dog\n\u001b[31mred')),
      /the name of class "dog\\n\\u001b\[31mred" in .*photos has a line break or another control character; rename it/,
    );
  });

  it('with links that lead in a circle ends, each photo counted once', () => {
    const data = photosOf('cat', 'dog');
    symlinkSync('../..', join(data, 'cat', 'up'));
    symlinkSync('.', join(data, 'here'));
    symlinkSync('..', join(data, 'above'));
    symlinkSync('itself', join(data, 'itself'));
    // A link to photos that lie elsewhere is a class.
    renameSync(join(data, 'dog'), join(data, '..', 'dogs'));
    symlinkSync('../dogs', join(data, 'dog'));
    const trained = train(data);
    expect(trained.status).toBe(0);
    expect(JSON.parse(trained.stdout)).toMatchObject({ classes: ['cat', 'dog'], trainPhotos: 10, valPhotos: 2 });
  });

  it.skipIf(process.platform === 'win32')('with a pipe called like a photo does not wait for it', () => {
    const data = photosOf('cat', 'dog');
    spawnSync('mkfifo', [join(data, 'cat', 'pipe.jpg')]);
    expect(JSON.parse(train(data).stdout)).toMatchObject({ trainPhotos: 10, valPhotos: 2 });
  });

  it('with the same photo twice takes both', () => {
    const data = photosOf('cat', 'dog', 'cat again');
    expect(JSON.parse(train(data).stdout)).toMatchObject({ trainPhotos: 15, valPhotos: 3 });
  });

  it.skipIf(process.platform !== 'linux')(
    'may hold other files, and names that are not UTF-8; what is left out is told',
    () => {
      const data = photosOf('cat', 'dog');
      const at = join(data, '..');
      const odd = Buffer.concat([Buffer.from(join(data, 'cat', 'caf')), Buffer.from([0xe9]), Buffer.from('.jpg')]);
      cpSync(join(data, 'cat', '5.jpg'), join(data, 'cat', 'x.jpg'));
      renameSync(join(data, 'cat', 'x.jpg'), odd);
      rmSync(join(data, 'cat', '5.jpg'));
      writeFileSync(join(data, 'cat', 'IMG_1.HEIC'), 'none');
      const trained = train(data);
      expect(trained.status).toBe(0);
      expect(trained.stderr).toBe(
        `warning: 1 file of other types was left out of ${data}: 1 .heic; convert the pictures to JPEG\n`,
      );
      expect((JSON.parse(trained.stdout) as Summary).photos).toEqual({
        ...{ found: 13, train: 10, validate: 2, test: 0, skipped: 0 },
        leftOut: { '.heic': 1 },
      });
      const predicted = cli(['predict', '--model', 'run/model.onnx', 'photos/cat'], at);
      expect(predicted.status).toBe(0);
      expect(predicted.stdout).toMatch(/^photos\/cat\/caf\\xe9\.jpg {2}/m);
      expect(predicted.stderr).toContain('warning: 1 file of other types was left out of photos/cat: 1 .heic');
      const command = `find photos -name '*.jpg' -print0 | "${process.execPath}" "${main}" predict --model run/model.onnx -`;
      const listed = spawnSync('sh', ['-c', command], { encoding: 'utf8', cwd: at });
      expect(listed.status).toBe(0);
      expect(listed.stdout.trim().split('\n')).toHaveLength(12);
      const measured = cli(['eval', '--model', 'run/model.onnx', '--data', 'photos', '--split', 'all', '--json'], at);
      expect(JSON.parse(measured.stdout)).toMatchObject({ photos: 12, found: 13, leftOut: { '.heic': 1 } });
    },
  );

  it('may be gone when a run has read it, but not before', async () => {
    const data = photosOf('cat', 'dog');
    const flags = [
      '--model',
      SMALL_CNN,
      '--data',
      data,
      '--policy',
      'F1C0',
      '--epochs',
      '300',
      '--out',
      join(data, '..', 'run'),
    ];
    const child = spawn(process.execPath, [main, 'train', ...flags]);
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdout.on('data', (chunk: Buffer) => {
      if (chunk.toString().includes('epoch ')) rmSync(data, { recursive: true, force: true });
    });
    const status = await new Promise((resolve) => child.on('exit', resolve));
    expect(stderr.split('\n').filter((line) => !line.startsWith('epoch '))).toEqual(['']);
    expect(status).toBe(0);
    expect(existsSync(join(data, '..', 'run', 'model.onnx'))).toBe(true);
    expectRefusal(cli(['train', '--resume', join(data, '..', 'run')]), /cannot open the folder .*photos: ENOENT/);
  });

  it('may move between a run and its resumption, and be named from elsewhere', () => {
    const data = photosOf('cat', 'dog');
    const at = join(data, '..');
    const flags = ['--model', SMALL_CNN, '--policy', 'F1C0', '--epochs', '1', '--out', 'run', '--quiet'];
    expect(cli(['train', '--data', 'photos', ...flags], at).status).toBe(0);
    expect(cli(['train', '--resume', join(at, 'run'), '--quiet']).status).toBe(0);
    const settings = join(at, 'run', 'args.yaml');
    cpSync(data, join(at, 'moved'), { recursive: true });
    writeFileSync(settings, readFileSync(settings, 'utf8').replace(data, join(at, 'moved')));
    expect(cli(['train', '--resume', join(at, 'run'), '--quiet']).status).toBe(0);
    rmSync(join(at, 'moved', 'cat', '5.jpg'));
    expectRefusal(
      cli(['train', '--resume', join(at, 'run'), '--quiet']),
      /its photos or their split are others now; put back those that it was begun with/,
    );
  });
});

describe('a folder that holds a run', () => {
  it('is not written over unless asked', () => {
    const data = photosOf('cat', 'dog');
    const run = join(data, '..', 'run');
    expect(train(data).status).toBe(0);
    const before = readFileSync(join(run, 'model.onnx'));
    expectRefusal(
      train(data, '--seed', '5'),
      /run holds a run already \(model\.onnx\); go on with it \(--resume run\), choose another folder \(--out\), or .*--overwrite/,
    );
    expect(readFileSync(join(run, 'model.onnx')).equals(before)).toBe(true);
    expect(train(data, '--seed', '5', '--overwrite').status).toBe(0);
    expect(readFileSync(join(run, 'model.onnx')).equals(before)).toBe(false);
    // What does not fit does not destroy it either.
    expectRefusal(train(data, '--overwrite', '--focal-gamma', '-1'), /--focal-gamma/);
    expect(existsSync(join(run, 'last'))).toBe(true);
  });
});

it('compiles for a class with one photo, which need not validate, and tells what is left out as train does', () => {
  const data = photosOf('cat', 'dog');
  for (let photo = 1; photo < 6; photo++) rmSync(join(data, 'cat', `${photo}.jpg`));
  for (let photo = 0; photo < 3; photo++) writeFileSync(join(data, 'dog', `${photo}.heic`), 'x');
  const flags = ['--data', 'photos', '--class-weights', 'balanced', '--json'];
  const { status, stdout, stderr } = cli(['compile', '--model', SMALL_CNN, ...flags], join(data, '..'));
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ classes: ['cat', 'dog'] });
  expect(stderr).toMatch(/^warning: .*heic.*\n$/i);
});

it('tells what is left out of the photos that an export is compared on', () => {
  const data = photosOf('cat', 'dog');
  const at = join(data, '..');
  expect(train(data).status).toBe(0);
  for (let photo = 0; photo < 3; photo++) writeFileSync(join(data, 'dog', `${photo}.heic`), 'x');
  const exported = cli(['export', 'run', '--out', 'own.onnx'], at);
  expect(exported.status).toBe(0);
  expect(exported.stderr).toMatch(/^warning: .*heic.*\n$/im);
  const flags = ['--calibration-data', 'photos', '--precision', 'int8', '--min-agreement', '0'];
  const int8 = cli(['export', 'run', '--out', 'int8.onnx', ...flags], at);
  expect(int8.stderr.match(/^warning: .*heic/gim)).toHaveLength(2);
});

it('compiles for the classes of whatever train takes', () => {
  const data = photosOf('cat', 'dog');
  const at = join(data, '..');
  writeFileSync(
    join(at, 'list.csv'),
    ['cat', 'dog'].map((name) => `photos/${name}/0.jpg,${name}\nphotos/${name}/1.jpg,${name}\n`).join(''),
  );
  const photo = readFileSync(join(data, 'cat', '0.jpg'));
  writeFileSync(
    join(at, 'photos.zip'),
    zipFile(['cat/0.jpg', 'cat/1.jpg', 'dog/0.jpg', 'dog/1.jpg'].map((name) => ({ name, content: photo }))),
  );
  for (const source of ['photos', 'list.csv', 'photos.zip']) {
    const { status, stdout } = cli(
      ['compile', '--model', SMALL_CNN, '--data', source, '--json', '--class-weights', 'balanced'],
      at,
    );
    expect(status, source).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ classes: ['cat', 'dog'] });
  }
});
