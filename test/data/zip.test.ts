import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodePhoto } from '../../src/data/decode.js';
import type { Preprocessing } from '../../src/artifacts/manifest.js';
import { openZip } from '../../src/data/zip.js';
import { type TestEntry, zipFile } from './zipFile.js';

let folder: string;
let archive: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ort-tl-zip-'));
  archive = join(folder, 'pets.zip');
});
afterEach(() => rm(folder, { recursive: true }));

const to: Preprocessing = { width: 1, height: 1, resize: 'squash', mean: [0, 0, 0], std: [1, 1, 1] };
const grey = (value: number) =>
  sharp({ create: { width: 4, height: 4, channels: 3, background: { r: value, g: value, b: value } } })
    .png()
    .toBuffer();
const empty = (...names: string[]): TestEntry[] => names.map((name) => ({ name, content: Buffer.alloc(0) }));
const write = (entries: readonly TestEntry[]) => writeFile(archive, zipFile(entries));
const open = () => openZip(archive, { seed: 0, valFraction: 0.5 });
const inside = (photos: { path: string; label: number }[]) =>
  photos.map(({ path, label }) => `${label} ${path.slice(archive.length + 1)}`);

describe('openZip', () => {
  it.each([true, false])('finds one folder a class and reads its photos in place, stored: %s', async (stored) => {
    const entries = await Promise.all(
      [1, 2, 3, 4].map(async (value) => ({
        name: `${value % 2 ? 'dog' : 'cat'}/${value}.png`,
        content: await grey(value),
        stored,
      })),
    );
    await write([{ name: 'cat/', content: Buffer.alloc(0), stored: true }, ...entries]);
    const { classes, train, val } = await open();
    expect(classes).toEqual(['cat', 'dog']);
    const photos = [...train, ...val];
    expect(inside(photos).sort()).toEqual(['0 cat/2.png', '0 cat/4.png', '1 dog/1.png', '1 dog/3.png']);
    for (const photo of structuredClone(photos)) {
      const value = Number(photo.path.at(-5));
      expect([...(await decodePhoto(photo, to))]).toEqual([value, value, value]);
    }
  });

  it('takes train and val as they are, inside one folder round all too', async () => {
    await write(
      empty('all/train/b/1.jpg', 'all/train/a/1.jpg', 'all/Test/a/2.jpg', '__MACOSX/all/a/1.jpg', 'all/.x/y.jpg'),
    );
    const { classes, train, val } = await open();
    expect([classes, inside(train), inside(val)]).toEqual([
      ['a', 'b'],
      ['0 all/train/a/1.jpg', '1 all/train/b/1.jpg'],
      ['0 all/Test/a/2.jpg'],
    ]);
  });

  it('takes the samples of a Teachable Machine project', async () => {
    archive = join(folder, 'project.tm');
    await write(empty('manifest.json', 'Class 1-!-0.jpg', 'Class 1-!-1.jpg', 'b-!-c-!-0.jpg', 'b-!-c-!-1.jpg'));
    const { classes, train, val } = await open();
    expect(classes).toEqual(['Class 1', 'b-!-c']);
    expect([train.length, val.length]).toEqual([2, 2]);
  });

  it('decodes names as what made them meant them', async () => {
    const photos = (name: Buffer | string, more: Partial<TestEntry>): TestEntry[] =>
      ['/1.jpg', '/2.jpg'].map((file) => ({
        name: Buffer.concat([Buffer.from(name), Buffer.from(file)]),
        content: Buffer.alloc(0),
        stored: true,
        ...more,
      }));
    await write([
      ...photos('café', { flags: 0x800 }),
      // macOS sets no flag.
      ...photos('日本', { flags: 0 }),
      // Code page 437 of DOS, where 0x82 is é.
      ...photos(Buffer.from([0x82]), { flags: 0 }),
    ]);
    const { classes, contents } = await open();
    expect(classes).toEqual(['café', 'é', '日本']);
    expect(contents?.warnings).toEqual([
      expect.stringMatching(/are not UTF-8, and are read as code page 437, such as é\/1\.jpg; where that is wrong/),
    ]);
  });

  it('counts entries once whose names are written differently and lead to one file', async () => {
    await write(empty('cat/1.jpg', 'cat/2.jpg', './cat/1.jpg', 'cat//2.jpg', 'dog/1.jpg', 'dog/2.jpg'));
    const { train, val, contents } = await open();
    expect([train.length, val.length]).toEqual([2, 2]);
    expect(contents).toMatchObject({ found: 6, leftOut: { 'entries of the same name': 2 } });
  });

  it('heeds the Unicode field of a name', async () => {
    const entry = (raw: string, name: string): TestEntry => {
      const data = Buffer.concat([Buffer.from([1, 0, 0, 0, 0]), Buffer.from(name)]);
      data.writeUInt32LE(crc32(Buffer.from(raw)), 1);
      const head = Buffer.alloc(4);
      head.writeUInt16LE(0x7075, 0);
      head.writeUInt16LE(data.length, 2);
      return { name: raw, content: Buffer.alloc(0), stored: true, flags: 0, extra: Buffer.concat([head, data]) };
    };
    await write([entry('_/1.jpg', 'ж/1.jpg'), entry('_/2.jpg', 'ж/2.jpg'), ...empty('a/1.jpg', 'a/2.jpg')]);
    expect((await open()).classes).toEqual(['a', 'ж']);
  });

  it('counts entries of one name once, the last of them, and leaves out links', async () => {
    const entries = [
      ['a/1.jpg', 'old'],
      ['a/2.jpg', ''],
      ['b/1.jpg', ''],
      ['b/2.jpg', ''],
      ['a/1.jpg', 'newer'],
    ] as const;
    await write([
      ...entries.map(([name, content]) => ({ name, content: Buffer.from(content), stored: true })),
      { name: 'a/link.jpg', content: Buffer.from('1.jpg'), mode: 0o120777 },
    ]);
    const { train, val, contents } = await open();
    const [photo] = [...train, ...val].filter(({ path }) => path.endsWith('a/1.jpg'));
    expect(photo?.inside).toMatchObject({ bytes: 5 });
    expect(train.length + val.length).toBe(4);
    expect(contents).toMatchObject({ found: 6, leftOut: { 'entries of the same name': 1, 'links in a zip file': 1 } });
    expect(contents?.warnings).toHaveLength(2);
  });

  it.each([
    ['one-class', 'one class', empty('a/1.jpg', 'a/2.jpg'), 'one class only, "a"'],
    ['no-photos', 'photos in no folder', empty('1.jpg', '2.jpg'), '<class>/*.jpg'],
    ['no-photos', 'no photos', empty('a/readme.txt'), 'Teachable Machine'],
    ['too-few-photos', 'a class with one photo', empty('a/1.jpg', 'a/2.jpg', 'b/1.jpg'), '"b"'],
    ['bad-archive', 'a name that leads out of it', empty('a/1.jpg', '../../b/1.jpg'), '../../b/1.jpg'],
    ['bad-archive', 'an absolute name', empty('/a/1.jpg'), '/a/1.jpg'],
    ['bad-archive', 'an encrypted photo', [{ name: 'a/1.jpg', content: Buffer.alloc(9), flags: 0x801 }], 'encrypted'],
    ['bad-archive', 'a bomb', [{ name: 'a/1.jpg', content: Buffer.alloc(9), claimedBytes: 3e9 }], '3000 MB'],
  ])('says %s of %s', async (code, _, entries, words) => {
    await write(entries);
    await expect(open()).rejects.toMatchObject({ code, message: expect.stringContaining(words) as string });
  });

  it('says bad-archive of what is cut off, empty, no zip file, or missing', async () => {
    const whole = zipFile(empty('a/1.jpg', 'b/1.jpg'));
    for (const content of [
      whole.subarray(0, whole.length - 30),
      Buffer.alloc(0),
      Buffer.from('not a zip file, but text'),
    ]) {
      await writeFile(archive, content);
      await expect(open()).rejects.toMatchObject({ code: 'bad-archive' });
    }
    await rm(archive);
    await expect(open()).rejects.toMatchObject({ code: 'bad-archive' });
  });

  it.each([
    ['unpacks to more than the archive says', { claimedBytes: 10 }, 'bytes'],
    ['has another checksum', { claimedCrc: 1 }, 'damaged'],
    ['is empty', { content: Buffer.alloc(0) }, 'empty'],
  ])('leaves out a photo that %s', async (_, wrong, words) => {
    const content = await grey(1);
    await write(['a/1.png', 'a/2.png', 'b/1.png', 'b/2.png'].map((name) => ({ name, content, ...wrong })));
    const [photo] = (await open()).train;
    expect(photo).toBeDefined();
    if (photo)
      await expect(decodePhoto(photo, to)).rejects.toMatchObject({
        code: 'unreadable-photo',
        message: expect.stringContaining(words) as string,
      });
  });
});
