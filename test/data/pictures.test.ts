import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ImageFolder } from '../../src/data/imageFolder.js';
import { drawingPictures, drawPictures } from '../../src/data/pictures.js';
import { demoShapes, pretrainShapes } from '../../src/data/pictureShapes.js';
import { sha256 } from '../../src/files.js';
import { built, killed, startScript } from '../processes.js';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'ort-tl-pictures-'))));
afterEach(() => rm(folder, { recursive: true }));

const small = { set: 'demo', trainPerClass: 3, valPerClass: 1, seed: 1 } as const;

/** Path inside `root` → SHA-256. */
async function digests(root: string): Promise<Record<string, string>> {
  const files = await readdir(root, { recursive: true, withFileTypes: true });
  const paths = files.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const pairs = paths.sort().map(async (path) => [path.slice(root.length + 1), sha256(await readFile(path))] as const);
  return Object.fromEntries(await Promise.all(pairs));
}

describe('drawPictures', () => {
  it.each(['demo', 'pretrain'] as const)('draws the same bytes for the same options: %s', async (set) => {
    await drawPictures(join(folder, 'a'), { ...small, set });
    await drawPictures(join(folder, 'b'), { ...small, set });
    const first = await digests(join(folder, 'a'));
    expect(await digests(join(folder, 'b'))).toEqual(first);
    expect(new Set(Object.values(first)).size).toBe(Object.keys(first).length);
  });

  it('draws other pictures for another seed, and a larger set begins with the smaller', async () => {
    await drawPictures(join(folder, 'a'), small);
    await drawPictures(join(folder, 'b'), { ...small, seed: 2 });
    await drawPictures(join(folder, 'c'), { ...small, trainPerClass: 4 });
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => digests(join(folder, name))));
    const path = join('train', 'boat', '0002.jpg');
    expect(b?.[path]).not.toBe(a?.[path]);
    expect(c?.[path]).toBe(a?.[path]);
  });

  it('makes a folder that opens as train and val', async () => {
    const steps: [number, number][] = [];
    await drawPictures(join(folder, 'a'), { ...small, onProgress: (done, total) => steps.push([done, total]) });
    const { classes, train, val } = await ImageFolder.open(join(folder, 'a'), { seed: 0 });
    expect(classes).toEqual(Object.keys(demoShapes));
    expect([train.length, val.length]).toEqual([18, 6]);
    expect(steps).toEqual(Array.from({ length: 24 }, (_, at) => [at + 1, 24]));
    expect(await sharp(train[0]?.path).metadata()).toMatchObject({
      format: 'jpeg',
      width: 48,
      height: 48,
      channels: 3,
    });
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('pretrains on nothing that the demo asks for', () => {
    expect(Object.keys(pretrainShapes).filter((name) => name in demoShapes)).toEqual([]);
  });

  it('leaves what is drawn already, and draws anew for other options', async () => {
    const path = join(folder, 'a');
    await drawPictures(path, small);
    const { ino } = await stat(path);
    await drawPictures(path, small);
    expect((await stat(path)).ino).toBe(ino);
    await drawPictures(path, { ...small, trainPerClass: 2 });
    expect(await readdir(join(path, 'train', 'cup'))).toEqual(['0000.jpg', '0001.jpg']);
  });

  it('draws into an empty folder, and refuses one with other things in it', async () => {
    await mkdir(join(folder, 'empty'));
    await drawPictures(join(folder, 'empty'), small);
    await mkdir(join(folder, 'mine'));
    await writeFile(join(folder, 'mine', 'holiday.jpg'), '');
    await expect(drawPictures(join(folder, 'mine'), small)).rejects.toMatchObject({ code: 'folder-in-use' });
    expect(await readdir(join(folder, 'mine'))).toEqual(['holiday.jpg']);
  });

  it('leaves nothing when it is stopped', async () => {
    const controller = new AbortController();
    const onProgress = () => {
      controller.abort();
    };
    const drawing = drawPictures(join(folder, 'a'), { ...small, onProgress, signal: controller.signal });
    await expect(drawing).rejects.toMatchObject({ code: 'stopped' });
    expect(await readdir(folder)).toEqual([]);
  });

  it('leaves nothing, and draws no further, where nobody looks any longer at how far it is', async () => {
    const seen: number[] = [];
    for await (const { done } of drawingPictures(join(folder, 'a'), small)) {
      seen.push(done);
      break;
    }
    expect(seen).toEqual([1]);
    expect(await readdir(folder)).toEqual([]);
  });

  it('replaces nothing but what was drawn', async () => {
    const path = join(folder, 'a');
    const other = { ...small, trainPerClass: 2 };
    await mkdir(path);
    await writeFile(join(path, 'pictures.json'), '["my pictures"]');
    await expect(drawPictures(path, small)).rejects.toMatchObject({ code: 'folder-in-use' });
    expect(await readdir(path)).toEqual(['pictures.json']);
    await rm(join(path, 'pictures.json'));
    await drawPictures(path, small);
    const mine = join(path, 'train', 'boat', 'mine.jpg');
    await writeFile(mine, '');
    await expect(drawPictures(path, other)).rejects.toThrow(
      `${path} holds ${join('train', 'boat', 'mine.jpg')}, which ort-tl did not draw`,
    );
    await rm(mine);
    await drawPictures(path, other);
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('removes what a process that was killed while it drew has left', async () => {
    const path = join(folder, 'a');
    const child = await startScript(`
      import { drawPictures } from ${built('index')};
      const options = { set: 'demo', trainPerClass: 1000, valPerClass: 1, seed: 1 };
      await drawPictures(${JSON.stringify(path)}, { ...options, onProgress: () => console.log('draws') });`);
    await killed(child);
    expect(await readdir(folder)).toHaveLength(1);
    await drawPictures(path, small);
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('says so when it cannot write', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(drawPictures(join(folder, 'file', 'a'), small)).rejects.toMatchObject({ code: 'write-failed' });
    expect(await readdir(folder)).toEqual(['file']);
  });

  it('lets two draw the same folder at once', async () => {
    const path = join(folder, 'a');
    await Promise.all([drawPictures(path, small), drawPictures(path, small)]);
    expect(await readdir(folder)).toEqual(['a']);
    expect(Object.keys(await digests(path))).toHaveLength(25);
  });
});
