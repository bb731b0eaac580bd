import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { countsOf, KINDS, openAs } from '../layoutCases.js';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'ort-tl-layout-'))));
afterEach(() => rm(folder, { recursive: true }));

describe.each(KINDS)('a %s', (kind) => {
  it.each([
    [
      'cat*5 dog*5 dog/a.heic dog/b.heic',
      /^2 files of other types were left out of .*: 2 \.heic; convert the pictures to JPEG$/,
    ],
    ['cat*5 dog*5 a.txt b.txt c.txt d.txt', /^4 files of other types were left out of .*: 4 \.txt$/],
    ['cat*5 dog*5 cat/@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg', /^1 file of thumbnails and of the system was left out/],
    ['cat*5 cat/thumbnails*3 dog*5', /^3 files of thumbnails and of the system were left out/],
    ['cat*5 dog*5 Thumbs*5', /^Thumbs in .* is taken for a class, as the folders beside it$/],
    ['train/cat*5 train/dog*5 train/samples*2 val/cat*1', /^samples in .*train is taken for a class, as the folders/],
    ['set/cat*5 set/dog*5 docs*2', /docs stands beside set and is left out: 2 photos$/],
    ['v/a*5 v/b*5 a*5 b*5', /v holds the same folders as stand beside it and is left out: 10 photos$/],
    ['cat*5 dog*5 train*5', /^train in .* is taken for a class, as the folders beside it$/],
    [
      'train/nok*5 train/ok*5 test*2',
      /test is left out, since it has no class folders: 2 photos; a part of what trains validates$/,
    ],
    [
      'train/a*5 train/b*5 test/unknown*2',
      /unknown is left out, since it has no class folders: 2 photos; a part of what trains validates$/,
    ],
    [
      'tiny/train/n1/images*5 tiny/train/n2/images*5 tiny/val/images*2 tiny/val/val_annotations.txt',
      /images is left out, since it has no class folders: 2 photos; a part of what trains validates$/,
    ],
    [
      'train/a*5 train/b*5 val/a*1 seg_pred*4',
      /seg_pred is left out, since its photos are there to be predicted: 4 photos$/,
    ],
    ['set/cover.jpg set/cat*5 set/dog*5', /^1 photo in .*set itself lies beside the class folders and is left out$/],
    ['train/a*2 train/b*2 val/a*1 test/c*2', /test has 2 photos of classes that do not train, such as "c"$/],
    [
      'fold1/a*2 fold1/b*2 fold2/a*2 fold2/b*2',
      /^fold1 and fold2 are taken for the classes, and each of them holds a and b; if these are the classes/,
    ],
    ['Cat*2 cat*2', /whose names differ in case alone/],
  ])('with %s tells so in one line', async (layout, line) => {
    const { contents } = await openAs(kind, folder, layout);
    expect(contents?.warnings).toEqual([expect.stringMatching(line)]);
  });

  it('tells nothing where there is nothing to tell', async () => {
    const { contents } = await openAs(
      kind,
      folder,
      'README.md .DS_Store train/a*2 train/b*2 train/b/.hidden.jpg val/a*2 labels.csv',
    );
    expect(contents?.warnings).toEqual([]);
    expect(contents?.leftOut).toEqual({ '.md': 1, 'system files': 1, 'hidden files': 1, '.csv': 1 });
  });

  it('counts what a limit leaves out', async () => {
    const dataset = await openAs(kind, folder, 'a*9 b*9', { limit: 2, valLimit: 1 });
    expect(countsOf(dataset)).toBe('a 2 b 2 | a 1 b 1 |');
    expect(dataset.contents).toMatchObject({ found: 18, leftOut: { 'over the limit': 12 } });
  });
});
