import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Dataset, OpenOptions } from '../../src/data/dataset.js';
import { openDataset } from '../../src/data/openDataset.js';
import type { Photo } from '../../src/data/photo.js';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'ort-tl-labels-'))));
afterEach(() => rm(folder, { recursive: true }));

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
}
/** Four photos, and a list. */
const list = (...lines: string[]) =>
  write({ ...Object.fromEntries([1, 2, 3, 4].map((n) => [`${n}.jpg`, String(n)])), 'list.csv': lines.join('\n') });
const open = (name = 'list.csv', options: OpenOptions = {}) =>
  openDataset(join(folder, name), { seed: 0, valFraction: 0.5, ...options });

const shown = ({ classes, train, val, test = [] }: Dataset): string[] => {
  const line = ({ path, labels = [] }: Photo) =>
    `${relative(folder, path)}: ${labels.map((label) => classes[label]).join(' ')}`;
  return [...train, ...val, ...test].map(line).sort();
};

describe('a list of several labels', () => {
  it.each([
    ['bars', ['1.jpg,cat|dog', '2.jpg,dog', '3.jpg,', '4.jpg,cat']],
    ['semicolons, as Kaggle has them', ['image,tags', '1.jpg,cat;dog', '2.jpg,dog', '3.jpg,', '4.jpg,cat']],
    ['commas in quotes', ['image,labels', '1.jpg,"cat, dog"', '2.jpg,dog', '3.jpg,', '4.jpg,cat']],
    ['spaces', ['image,tags', '1.jpg,cat dog', '2.jpg,dog', '3.jpg,', '4.jpg,cat']],
    ['a column of 0 and 1 each', ['image,cat,dog', '1.jpg,1,1', '2.jpg,0,1', '3.jpg,0,0', '4.jpg,1.0,0.0']],
    [
      'a column of −1 and 1 each, as CelebA has it',
      ['image_id,cat,dog', '1.jpg,1,1', '2.jpg,-1,1', '3.jpg,-1,-1', '4.jpg,1,-1'],
    ],
    ['several lines a photo', ['1.jpg,cat|dog', '2.jpg,dog', '1.jpg,dog', '3.jpg,', '4.jpg,cat']],
  ])('takes %s', async (_, lines) => {
    await list(...lines);
    const dataset = await open();
    expect(dataset.task).toBe('labels');
    expect(dataset.classes).toEqual(['cat', 'dog']);
    expect(shown(dataset)).toEqual(['1.jpg: cat dog', '2.jpg: dog', '3.jpg: ', '4.jpg: cat']);
  });

  it('takes one label a line for several of a photo where that is asked for, and refuses it else', async () => {
    await list('1.jpg,cat', '1.jpg,dog', '2.jpg,dog', '3.jpg,cat', '4.jpg,dog');
    await expect(open()).rejects.toMatchObject({ code: 'bad-csv' });
    expect(shown(await open('list.csv', { task: 'labels' }))[0]).toBe('1.jpg: cat dog');
  });

  it('leaves lists of one class as they are, also under a header for several', async () => {
    await list('image,labels', '1.jpg,tabby cat', '2.jpg,tabby cat', '3.jpg,tree frog', '4.jpg,tree frog');
    const dataset = await open();
    expect([dataset.task, dataset.classes]).toEqual([undefined, ['tabby cat', 'tree frog']]);
  });

  it('takes cells whole where classes are asked for', async () => {
    await list('1.jpg,cat|dog', '2.jpg,cat|dog', '3.jpg,dog', '4.jpg,dog');
    expect((await open('list.csv', { task: 'classes' })).classes).toEqual(['cat|dog', 'dog']);
  });

  it('reads a third column of splits, and one that asks', async () => {
    await list('1.jpg,cat|dog,train', '2.jpg,dog,train', '3.jpg,cat,val', '4.jpg,dog,test');
    const { train, val, test } = await open();
    expect([train, val, test].map((photos) => photos?.length)).toEqual([2, 1, 1]);
    await list('image,is_valid,cat,dog', '1.jpg,0,1,1', '2.jpg,0,0,1', '3.jpg,1,1,0', '4.jpg,1,1,1');
    const asked = await open();
    expect([asked.classes, asked.train.length, asked.val.length]).toEqual([['cat', 'dog'], 2, 2]);
  });

  it.each([
    [
      'a cell that is neither 0 nor 1',
      ['image,cat,dog', '1.jpg,1,1', '2.jpg,2,0'],
      /line 3: expected 0 or 1 in the column "cat", got "2"/,
    ],
    ['an empty one', ['image,cat,dog', '1.jpg,1,1', '2.jpg,,0'], /line 3: .*got ""/],
    ['−1 beside 0', ['image,cat,dog', '1.jpg,1,0', '2.jpg,-1,0'], /line 3: .*got "-1", while line 2 has 0/],
    ['no such photo', ['1.jpg,cat|dog', '9.jpg,cat'], /line 2: there is no file 9\.jpg/],
    [
      'two splits',
      ['1.jpg,cat|dog,train', '1.jpg,cat,val'],
      /line 2: 1\.jpg is there to validate here and to train in line 1/,
    ],
  ])('refuses %s by its line', async (_, lines, message) => {
    await list(...lines);
    await expect(open()).rejects.toMatchObject({ code: 'bad-csv', message: expect.stringMatching(message) as string });
  });

  it('tells what it does not read, and labels that do not train', async () => {
    await list('image,age,cat,dog,bird', '1.jpg,37,1,1,0', '2.jpg,4,0,1,0', '3.jpg,9,1,0,0', '4.jpg,8,1,0,0');
    const { classes, contents } = await open();
    expect(classes).toEqual(['cat', 'dog']);
    expect(contents?.warnings.join('\n')).toMatch(/"age"[^]*no photo of .* has "bird": left out/);
  });
});

it('parts photos so that each label validates in its share', async () => {
  // 100 photos: cat on all even ones, rare on two, both on one.
  const rows = Array.from({ length: 100 }, (_, n) => [
    ...(n % 2 === 0 ? ['cat'] : []),
    ...(n % 5 === 0 ? ['dog'] : []),
    ...(n === 10 || n === 31 ? ['rare'] : []),
  ]);
  await write(Object.fromEntries(rows.map((_, n) => [`${n}.jpg`, String(n)])));
  await write({ 'list.csv': rows.map((labels, n) => `${n}.jpg,${labels.join('|')}`).join('\n') });
  const { classes, train, val } = await open('list.csv', { valFraction: 0.2 });
  const count = (photos: Photo[], name: string) =>
    photos.filter(({ labels }) => labels?.includes(classes.indexOf(name))).length;
  expect(val.length + train.length).toBe(100);
  expect(Math.abs(val.length - 20)).toBeLessThanOrEqual(1);
  expect(['cat', 'dog', 'rare'].map((name) => count(val, name))).toEqual([10, 4, 1]);
  expect(shown(await open('list.csv', { valFraction: 0.2, limit: 5 })).length).toBeLessThan(40);
});

describe('COCO', () => {
  const coco = (images: readonly string[], pairs: readonly (readonly [number, number])[]) =>
    JSON.stringify({
      info: {},
      images: images.map((file_name, id) => ({ id, file_name })),
      annotations: pairs.map(([image_id, category_id], id) => ({ id, image_id, category_id, bbox: [0, 0, 1, 1] })),
      categories: [
        { id: 7, name: 'dog' },
        { id: 3, name: 'cat' },
      ],
    });

  it('takes a file, with photos in a folder beside it, and the order of its categories', async () => {
    await write({ 'images/1.jpg': '1', 'images/2.jpg': '2', 'images/3.jpg': '3' });
    await write({
      'labels.json': coco(
        ['1.jpg', '2.jpg', '3.jpg'],
        [
          [0, 3],
          [0, 7],
          [0, 3],
          [1, 7],
        ],
      ),
    });
    const dataset = await open('labels.json');
    expect(dataset.classes).toEqual(['dog', 'cat']);
    expect(shown(dataset)).toEqual(['images/1.jpg: dog cat', 'images/2.jpg: dog', 'images/3.jpg: ']);
  });

  it.each([
    [
      'as COCO itself',
      'annotations/instances_train2017.json',
      'train2017',
      'annotations/instances_val2017.json',
      'val2017',
    ],
    ['as Roboflow', 'train/_annotations.coco.json', 'train', 'valid/_annotations.coco.json', 'valid'],
  ])('takes a folder with splits %s', async (_, trainFile, train, valFile, val) => {
    await write({ [`${train}/1.jpg`]: '1', [`${train}/2.jpg`]: '2', [`${val}/3.jpg`]: '3' });
    await write({
      [trainFile]: coco(
        ['1.jpg', '2.jpg'],
        [
          [0, 3],
          [1, 7],
        ],
      ),
      [valFile]: coco(
        ['3.jpg'],
        [
          [0, 3],
          [0, 7],
        ],
      ),
    });
    const dataset = await open('.');
    expect([dataset.train.length, dataset.val.length]).toEqual([2, 1]);
    expect(shown(dataset)).toContain(`${val}/3.jpg: dog cat`);
  });

  it.each([
    ['an unknown category', coco(['1.jpg'], [[0, 5]]), /annotation 1, of image 0, has category 5/],
    ['an unknown image', coco(['1.jpg'], [[9, 3]]), /annotation 1 is of image 9/],
    ['a missing photo', coco(['1.jpg', 'gone.jpg'], [[0, 3]]), /there is no file gone\.jpg, of image 1/],
    ['no JSON', '{"images": [', /is no JSON/],
    ['other JSON', '{"images": [], "annotations": {}}', /at annotations/],
  ])('refuses %s', async (_, text, message) => {
    await write({ '1.jpg': '1', 'labels.json': `\uFEFF${text}` });
    await expect(open('labels.json')).rejects.toMatchObject({
      code: 'bad-annotations',
      message: expect.stringMatching(message) as string,
    });
  });
});

describe('YOLO', () => {
  const set = {
    'data.yaml': 'path: nowhere\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n',
    'images/train/1.jpg': '1',
    'images/train/2.jpg': '2',
    'images/val/3.jpg': '3',
    'labels/train/1.txt': '0 0.5 0.5 0.1 0.1\n1 0.2 0.2 0.1 0.1\n0 0.1 0.1 0.1 0.1\n',
    'labels/train/2.txt': '1 0.5 0.5 0.1 0.1 0.2 0.2\n',
  };

  it('takes a folder or its data.yaml; a photo without a file of labels has none', async () => {
    await write({ ...set, 'labels/train/9.txt': '0 0 0 1 1' });
    for (const name of ['.', 'data.yaml']) {
      const dataset = await open(name);
      expect(dataset.classes).toEqual(['cat', 'dog']);
      expect([dataset.train.length, dataset.val.length]).toEqual([2, 1]);
      expect(shown(dataset)).toEqual(['images/train/1.jpg: cat dog', 'images/train/2.jpg: dog', 'images/val/3.jpg: ']);
      expect(dataset.contents?.warnings.join('\n')).toMatch(
        /1 file of labels has no photo, such as .*9\.txt[^]*1 of 3 photos/,
      );
      expect(dataset.contents?.found).toBe(3);
    }
  });

  it('takes folders one too high, as Roboflow writes them, and lists', async () => {
    await write({
      'data.yaml': 'names: [cat, dog]\ntrain: ../train/images\nval: val.txt\n',
      'train/images/1.jpg': '1',
      'train/labels/1.txt': '0 0 0 1 1\n1 0 0 1 1\n',
      'other/2.jpg': '2',
      'other/2.txt': '1 0 0 1 1',
      'val.txt': './other/2.jpg\n',
    });
    expect(shown(await open('.'))).toEqual(['other/2.jpg: dog', 'train/images/1.jpg: cat dog']);
  });

  it('reads paths of a list that are relative to the set', async () => {
    await write({
      'data.yaml': 'names: [cat, dog]\ntrain: images\nval: lists/val.txt\n',
      'images/1.jpg': '1',
      'labels/1.txt': '0 0 0 1 1\n1 0 0 1 1\n',
      'other/2.jpg': '2',
      'other/2.txt': '1 0 0 1 1',
      'lists/val.txt': 'other/2.jpg\n',
    });
    expect(shown(await open('.'))).toEqual(['images/1.jpg: cat dog', 'other/2.jpg: dog']);
  });

  it.each([
    ['names: cat\ntrain: images\n', /data\.yaml: `names` is missing or wrong/],
    ['names: [cat\ntrain: images\n', /data\.yaml: line \d+: /],
    ['names: [cat]\ntrain: gone\n', /data\.yaml: there is no folder and no list .*gone/],
  ])('says what is wrong with the data.yaml of a folder: %s', async (yaml, message) => {
    await write({ ...set, 'data.yaml': yaml });
    await expect(open('.')).rejects.toMatchObject({
      code: 'bad-annotations',
      message: expect.stringMatching(message) as string,
    });
  });

  it('is asked for where there are boxes and no description of them', async () => {
    const { 'data.yaml': _, ...others } = set;
    await write(others);
    await expect(open('.')).rejects.toThrow(/detection.*a data\.yaml of YOLO, or annotations of COCO/);
  });

  it('refuses the number of no label by file and line', async () => {
    await write({ ...set, 'labels/train/2.txt': '1 0 0 1 1\n2 0 0 1 1\n' });
    await expect(open('.')).rejects.toMatchObject({
      code: 'bad-annotations',
      message: expect.stringMatching(/labels\/train\/2\.txt, line 2: `2` is the number of no label/) as string,
    });
  });
});

it('takes class folders for labels where that is asked for: a photo that several have, has all of their labels', async () => {
  await write({
    'cat/1.jpg': 'both',
    'dog/x.jpg': 'both',
    'cat/2.jpg': 'some',
    'dog/3.jpg': 'more',
    'dog/4.jpg': 'less',
  });
  const dataset = await open('.', { task: 'labels' });
  expect(shown(dataset)).toEqual(['cat/1.jpg: cat dog', 'cat/2.jpg: cat', 'dog/3.jpg: dog', 'dog/4.jpg: dog']);
  expect(dataset.contents?.leftOut).toEqual({ 'in a further folder, with the same content': 1 });
  expect((await open('.')).task).toBeUndefined();
});

it('refuses classes of photos that have several labels', async () => {
  await write({ 'data.yaml': 'names: [cat, dog]\ntrain: images\n', 'images/1.jpg': '1' });
  await expect(open('data.yaml', { task: 'classes' })).rejects.toMatchObject({ code: 'unknown-data' });
});
