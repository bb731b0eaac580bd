import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCsv } from '../../src/data/csvList.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ort-tl-csv-'));
  await mkdir(join(folder, 'photos'));
  for (const name of ['1.jpg', '2.jpg', '3.jpg', '4.jpg', 'a, "b".jpg'])
    await writeFile(join(folder, 'photos', name), '');
});
afterEach(() => rm(folder, { recursive: true }));

async function open(...lines: string[]) {
  const list = join(folder, 'list.csv');
  await writeFile(list, lines.join('\n'));
  return openCsv(list, { seed: 0, valFraction: 0.5 });
}
const inside = (photos: { path: string; label: number }[]) =>
  photos.map(({ path, label }) => `${label} ${path.slice(folder.length + 1)}`).sort();

describe('openCsv', () => {
  it('reads path and label, paths relative to the list, and splits', async () => {
    const { classes, train, val } = await open(
      'photos/1.jpg,dog',
      `${join(folder, 'photos/2.jpg')},cat`,
      './photos/3.jpg,cat',
      '',
      'photos/4.jpg,dog',
      '',
    );
    expect(classes).toEqual(['cat', 'dog']);
    expect([train.length, val.length]).toEqual([2, 2]);
    expect(inside([...train, ...val])).toEqual([
      '0 photos/2.jpg',
      '0 photos/3.jpg',
      '1 photos/1.jpg',
      '1 photos/4.jpg',
    ]);
  });

  it('refuses a class whose name is longer than a model may carry', async () => {
    const long = 'x'.repeat(1001);
    await expect(open(`photos/1.jpg,${long}`, 'photos/2.jpg,dog', `photos/3.jpg,${long}`)).rejects.toMatchObject({
      code: 'bad-class-name',
      message: expect.stringMatching(/"x{40}…" .* has 1001 characters; shorten it to 1000/) as string,
    });
  });

  it('reads a header in any order, with other columns, a byte order mark, CRLF and quotes', async () => {
    const { classes, train, val } = await open(
      '\uFEFFLabel,Width,Filename\r',
      '"a ""b"", c",10,"photos/a, ""b"".jpg"\r',
      '"a ""b"", c",10,photos/1.jpg\r',
      'x,10,photos/2.jpg\r',
      'x,10, photos/3.jpg\r',
    );
    expect(classes).toEqual(['a "b", c', 'x']);
    expect(inside([...train, ...val])).toContain('0 photos/a, "b".jpg');
  });

  it.each([[true], [false]])('takes the split of the third column, with a header: %s', async (header) => {
    const { train, val, test } = await open(
      ...(header ? ['path,label,split'] : []),
      'photos/1.jpg,a,train',
      'photos/2.jpg,b,Training',
      'photos/3.jpg,a,dev',
      'photos/4.jpg,b,test',
    );
    expect([train, val, test ?? []].map(inside)).toEqual([
      ['0 photos/1.jpg', '1 photos/2.jpg'],
      ['0 photos/3.jpg'],
      ['1 photos/4.jpg'],
    ]);
  });

  it('validates with what is there to test where there is nothing else', async () => {
    const { val, test } = await open('photos/1.jpg,a,train', 'photos/2.jpg,b,train', 'photos/3.jpg,a,test_set');
    expect([inside(val), test]).toEqual([['0 photos/3.jpg'], []]);
  });

  it('takes splits from a column of another name, where it tells them', async () => {
    const rows = (name: string, split: string) =>
      open(
        `image,label,${name}`,
        ...[1, 2, 3, 4].map((at) => `photos/${at}.jpg,${at % 2 ? 'a' : 'b'},${at < 3 ? 'train' : split}`),
      );
    expect((await rows('subset', 'valid')).val).toHaveLength(2);
    // Another one is none of ours.
    const { train, val } = await open(
      'image,label,set',
      'photos/1.jpg,a,7',
      'photos/2.jpg,b,8',
      'photos/3.jpg,a,9',
      'photos/4.jpg,b,9',
    );
    expect([train.length, val.length]).toEqual([2, 2]);
  });

  it('counts a photo once, however often and by whatever path it is named', async () => {
    await symlink('photos', join(folder, 'linked'));
    await symlink(join(folder, 'photos', '2.jpg'), join(folder, 'two.jpg'));
    const { train, val, contents } = await open(
      'filename,width,class,xmin',
      ...['photos/1.jpg,9,a,1', './photos/1.jpg,9,a,2', 'photos/../linked/1.jpg,9,a,3', 'photos\\1.jpg,9,a,4'],
      ...['photos/2.jpg,9,b,1', 'two.jpg,9,b,1', 'photos/3.jpg,9,a,1', 'photos/4.jpg,9,b,1'],
    );
    expect(train.length + val.length).toBe(4);
    expect(contents).toMatchObject({ found: 8, leftOut: { 'lines that name a photo again': 4 } });
    expect(contents?.warnings).toEqual([`the 8 lines of ${join(folder, 'list.csv')} name 4 photos; each counts once`]);
  });

  it.each([
    [
      'two labels',
      ['photos/1.jpg,a', 'photos/2.jpg,b', './photos/1.jpg,b'],
      'line 3: ./photos/1.jpg is "b" here and "a" in line 1',
    ],
    [
      'two splits',
      ['path,label,split', 'photos/1.jpg,a,train', 'photos/2.jpg,b,train', 'photos/1.jpg,a,val'],
      'line 4: photos/1.jpg is there to validate here and to train in line 2',
    ],
  ])('names both lines that give a photo %s', async (_, lines, words) => {
    await expect(open(...lines)).rejects.toMatchObject({
      code: 'bad-csv',
      message: expect.stringContaining(words) as string,
    });
  });

  it.each([
    ['semicolons', ';', 'utf8'],
    ['tabs', '\t', 'utf8'],
    ['UTF-16', ',', 'utf16le'],
  ] as const)('reads %s', async (_, mark, encoding) => {
    const list = join(folder, 'list.csv');
    const lines = [1, 2, 3, 4].map((at) => `photos/${at}.jpg${mark}${at % 2 ? 'Käse, alt' : 'x'}`);
    const text = lines.map((line) => (mark === ',' ? line.replace('Käse, alt', 'Käse') : line)).join('\r\n');
    for (const bom of ['\ufeff', ''])
      for (const content of [Buffer.from(bom + text, encoding)]) {
        await writeFile(list, content);
        expect((await openCsv(list, {})).classes).toEqual([mark === ',' ? 'Käse' : 'Käse, alt', 'x']);
      }
  });

  it('takes labels in two forms of Unicode for one class', async () => {
    const { classes } = await open(
      'photos/1.jpg,caf\u00e9',
      'photos/2.jpg,cafe\u0301',
      'photos/3.jpg,x',
      'photos/4.jpg,x',
    );
    expect(classes).toEqual(['caf\u00e9', 'x']);
  });

  it('names the line that is neither UTF-8 nor UTF-16', async () => {
    const list = join(folder, 'list.csv');
    await writeFile(list, Buffer.from('photos/1.jpg,a\nphotos/2.jpg,K\u00e4se\nphotos/3.jpg,a', 'latin1'));
    await expect(openCsv(list, {})).rejects.toMatchObject({
      code: 'bad-csv',
      message: expect.stringContaining('line 2: is neither UTF-8 nor UTF-16; save the list as UTF-8') as string,
    });
  });

  it.each([
    ['a missing file', ['path,label', 'photos/1.jpg,a', 'photos/9.jpg,b'], 'line 3: there is no file photos/9.jpg'],
    ['a folder', ['photos,a'], 'line 1: there is no file photos'],
    ['an unknown header', ['img,kind', 'photos/1.jpg,a'], 'line 1: there is no file img'],
    ['a header without label', ['path,kind', 'photos/1.jpg,a'], 'line 1: no column "label" in the header path,kind'],
    ['a header without path', ['photo,label', 'photos/1.jpg,a'], 'line 1: no column "path"'],
    ['a line with one column', ['photos/1.jpg,a', 'photos/2.jpg'], 'line 2: 1 columns where 2 were expected'],
    ['a line with too many', ['photos/1.jpg,a', 'photos/2.jpg,b,c'], 'line 2: 3 columns where 2 were expected'],
    ['an empty label', ['photos/1.jpg,a', 'photos/2.jpg,'], 'line 2: the label is empty'],
    [
      'an open quote',
      ['photos/1.jpg,a', '"photos/2.jpg,b', 'photos/3.jpg,a'],
      'line 3: the list ends within quotation marks, which were opened here or before',
    ],
    [
      'a stray quote',
      ['photos/1.jpg,a', 'pho"tos/2.jpg,b'],
      'line 2: a quotation mark stands within a name; put the whole name in quotation marks',
    ],
    [
      'an unknown split',
      ['photos/1.jpg,a,train', 'photos/2.jpg,b,later'],
      'line 2: expected the split to be train, val or test, got "later"',
    ],
  ])('names the line of %s', async (_, lines, words) => {
    await expect(open(...lines)).rejects.toMatchObject({
      code: 'bad-csv',
      message: expect.stringContaining(words) as string,
    });
  });

  it.each([
    ['no-photos', 'an empty list', []],
    ['no-photos', 'a header alone', ['path,label']],
    ['one-class', 'one class', ['photos/1.jpg,a', 'photos/2.jpg,a']],
    ['too-few-photos', 'a class with one photo', ['photos/1.jpg,a', 'photos/2.jpg,a', 'photos/3.jpg,b']],
    ['unknown-class', 'a class in val alone', ['photos/1.jpg,a,train', 'photos/2.jpg,b,train', 'photos/3.jpg,c,val']],
    ['no-photos', 'a split without val', ['photos/1.jpg,a,train', 'photos/2.jpg,b,train']],
  ])('says %s of %s', async (code, _, lines) => {
    await expect(open(...lines)).rejects.toMatchObject({ code });
  });

  it.each([
    [
      'no line to train with',
      ['photos/1.jpg,a,val', 'photos/2.jpg,b,test'],
      'has lines to validate or to test with, but none to train with; add lines with the split train, or leave the split out',
    ],
    [
      'no line to validate with',
      ['photos/1.jpg,a,train', 'photos/2.jpg,b,train'],
      'has lines to train with, but none to validate with; give some of them the split val, or leave the split out',
    ],
    ['lines to predict alone', ['photos/1.jpg,a,pred', 'photos/2.jpg,b,pred'], 'are all there to be predicted'],
    [
      'a class in val alone',
      ['photos/1.jpg,a,train', 'photos/2.jpg,b,train', 'photos/3.jpg,c,val'],
      'does not train there (a, b); add lines of it to train with, or remove its lines',
    ],
    ['a class with one photo', ['photos/1.jpg,a', 'photos/2.jpg,a', 'photos/3.jpg,b'], 'or lines with the split val'],
    [
      'a class called images',
      ['photos/1.jpg,images', 'photos/2.jpg,images'],
      'a classifier needs photos of two or more',
    ],
  ])('speaks of lines, not of folders, where there is %s', async (_, lines, words) => {
    const thrown: unknown = await open(...lines).catch((error: unknown) => error);
    expect(String(thrown)).toContain(words);
    expect(String(thrown)).not.toMatch(/folder /);
  });

  it('says that there is no such list', async () => {
    await expect(openCsv(join(folder, 'x.csv'), { seed: 0 })).rejects.toMatchObject({ code: 'no-such-file' });
  });

  it.each([
    ['usage', ['train', 'train', 'Validation', 'test']],
    ['Usage', ['Training', 'Training', 'val', 'PublicTest']],
    ['type', ['train', 'train', 'val', 'test']],
  ])('takes the column %s for the splits where each of its cells says one', async (name, cells) => {
    const lines = cells.map((cell, index) => `photos/${index + 1}.jpg,${index % 2 === 0 ? 'cat' : 'dog'},${cell}`);
    const { train, val, test } = await open(`path,label,${name}`, ...lines);
    expect([inside(train), inside(val), inside(test ?? [])]).toEqual([
      ['0 photos/1.jpg', '1 photos/2.jpg'],
      ['0 photos/3.jpg'],
      ['1 photos/4.jpg'],
    ]);
  });

  it.each([
    ['is_valid', ['False', 'False', 'True', 'True']],
    ['is_training_image', ['1', '1', '0', '0']],
    ['is_test', ['0', '0', '1', '1']],
  ])('reads the answers in a column %s', async (name, cells) => {
    const lines = cells.map((cell, index) => `photos/${index + 1}.jpg,${index % 2 === 0 ? 'cat' : 'dog'},${cell}`);
    const { train, val } = await open(`path,label,${name}`, ...lines);
    expect(inside(train)).toEqual(['0 photos/1.jpg', '1 photos/2.jpg']);
    expect(inside(val)).toEqual(['0 photos/3.jpg', '1 photos/4.jpg']);
  });

  it('tells of a column that parts the photos in a way that it does not read, and takes no class for a split', async () => {
    const folds = await open(
      'path,label,fold',
      'photos/1.jpg,a,0',
      'photos/2.jpg,b,1',
      'photos/3.jpg,a,0',
      'photos/4.jpg,b,1',
    );
    expect(folds.contents?.warnings).toEqual([expect.stringMatching(/^the column "fold" of .* is not read/)]);
    const kinds = await open(
      'path,label,kind',
      'photos/1.jpg,a,train',
      'photos/2.jpg,b,bus',
      'photos/3.jpg,a,train',
      'photos/4.jpg,b,bus',
    );
    expect([kinds.train.length, kinds.val.length, kinds.contents?.warnings]).toEqual([2, 2, []]);
  });

  it('refuses two columns that both say what photos are for', async () => {
    const lines = ['photos/1.jpg,a,train,0', 'photos/2.jpg,b,test,1', 'photos/3.jpg,a,train,0', 'photos/4.jpg,b,val,1'];
    await expect(open('path,label,use,is_test', ...lines)).rejects.toMatchObject({
      code: 'bad-csv',
      message: expect.stringMatching(/columns "use" and "is_test" both say what photos are for/) as string,
    });
  });
});
