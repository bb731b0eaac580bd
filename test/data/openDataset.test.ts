import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openDataset } from '../../src/data/openDataset.js';
import { zipFile } from './zipFile.js';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'ort-tl-open-'))));
afterEach(() => rm(folder, { recursive: true }));

const NAMES = ['a/1.jpg', 'a/2.jpg', 'b/1.jpg', 'b/2.jpg'];
const classesOf = async (name: string) => (await openDataset(join(folder, name), { seed: 0 })).classes;

it('opens a folder, a list, zip files and CIFAR files alike', async () => {
  for (const name of ['a', 'b']) await mkdir(join(folder, 'photos', name), { recursive: true });
  for (const name of NAMES) await writeFile(join(folder, 'photos', name), '');
  expect(await classesOf('photos')).toEqual(['a', 'b']);

  await writeFile(join(folder, 'list.csv'), NAMES.map((name) => `photos/${name},${name[0] ?? ''}`).join('\n'));
  expect(await classesOf('list.csv')).toEqual(['a', 'b']);

  const archive = zipFile(NAMES.map((name) => ({ name, content: Buffer.alloc(0) })));
  for (const name of ['photos.ZIP', 'project.tm']) {
    await writeFile(join(folder, name), archive);
    expect(await classesOf(name)).toEqual(['a', 'b']);
  }

  await mkdir(join(folder, 'cifar'));
  const records = Buffer.concat([0, 1, 0, 1].map((label) => Buffer.alloc(3073, label)));
  await writeFile(join(folder, 'cifar', 'train.bin'), records);
  expect(await classesOf('cifar')).toEqual(['0', '1']);
  expect(await classesOf('cifar/train.bin')).toEqual(['0', '1']);
});

it('says what it takes of anything else', async () => {
  await writeFile(join(folder, 'notes.txt'), 'hello');
  await expect(classesOf('notes.txt')).rejects.toMatchObject({ code: 'unknown-data' });
  await expect(classesOf('missing')).rejects.toMatchObject({ code: 'no-such-folder' });
  await expect(classesOf('missing.csv')).rejects.toMatchObject({ code: 'no-such-file' });
});

it.each([
  ['photos.tar.gz', 'unpack it first'],
  ['photos.rar', 'unpack it first'],
  ['photos.7z', 'unpack it first'],
  ['train.tfrecord', 'TFRecord'],
  ['train.parquet', 'Parquet'],
  ['data.npz', "NumPy's arrays"],
  ['train-images-idx3-ubyte.gz', "MNIST's format"],
  ['cat.jpg', 'is one photo'],
])('says what %s is', async (name, words) => {
  await writeFile(join(folder, name), 'x');
  await expect(classesOf(name)).rejects.toMatchObject({
    code: 'unknown-data',
    message: expect.stringContaining(words) as string,
  });
});

it.each([
  ['train', 'cifar-100-binary.tar.gz'],
  ['faces', 'a Python pickle'],
])('knows the pickle %s by its first bytes', async (name, words) => {
  await writeFile(join(folder, name), Buffer.from('80025d71012e', 'hex'));
  await expect(classesOf(name)).rejects.toThrow(words);
});

it('says that an argument cannot carry a name that is not UTF-8', async () => {
  await mkdir(Buffer.concat([Buffer.from(`${folder}/caf`), Buffer.from([0xe9])]));
  await expect(classesOf('caf\ufffd')).rejects.toMatchObject({
    code: 'unknown-data',
    message: expect.stringContaining('is not UTF-8') as string,
  });
});

it('knows a zip file and a photo by their first bytes', async () => {
  await writeFile(join(folder, 'download'), zipFile(NAMES.map((name) => ({ name, content: Buffer.alloc(0) }))));
  expect(await classesOf('download')).toEqual(['a', 'b']);
  await writeFile(join(folder, 'IMG_1'), Buffer.from('ffd8ffe000104a464946', 'hex'));
  await expect(classesOf('IMG_1')).rejects.toThrow('is one photo');
});
