import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addsUp, countsOf, filesOf, KINDS, openAs } from '../layoutCases.js';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'ort-tl-layout-'))));
afterEach(() => rm(folder, { recursive: true }));

describe.each(KINDS)('a %s', (kind) => {
  it.each([
    ['Kaggle, by other words', 'Training/a*3 Training/b*3 Testing/a*2 Testing/b*2', 'a 3 b 3 | a 2 b 2 |'],
    [
      'a repeated split',
      'training_set/training_set/a*3 training_set/training_set/b*3 test_set/test_set/a*2',
      'a 3 b 3 | a 2 |',
    ],
    [
      'splits with what is to be predicted',
      'seg_train/seg_train/a*3 seg_train/seg_train/b*3 seg_test/seg_test/b*2 seg_pred/seg_pred*4',
      'a 3 b 3 | b 2 |',
    ],
    [
      'training, validation and evaluation',
      'training/a*3 training/b*3 validation/a*1 evaluation/b*2',
      'a 3 b 3 | a 1 | b 2',
    ],
    ['all three splits', 'train/a*3 train/b*3 dev/a*1 test/b*2', 'a 3 b 3 | a 1 | b 2'],
    ['a prefix of both', 'cells_train/a*3 cells_train/b*3 cells_test/a*2', 'a 3 b 3 | a 2 |'],
    ['marks round the names', '[Train]/a*3 [Train]/b*3 [Test!]/a*2', 'a 3 b 3 | a 2 |'],
    ['numbers before the names', '1train/a*3 1train/b*3 2val/a*2 3holdout/b*1', 'a 3 b 3 | a 2 | b 1'],
    ['development', 'train/a*3 train/b*3 development/b*1', 'a 3 b 3 | b 1 |'],
    ['years', 'train2017/a*3 train2017/b*3 val2017/b*2 annotations/x.json', 'a 3 b 3 | b 2 |'],
    ['a class called train', 'bus*5 car*5 train*5', 'bus 4 car 4 train 4 | bus 1 car 1 train 1 |'],
    [
      'a class called train with kinds of trains',
      'bus*5 car*5 train/steam*3 train/electric*2',
      'bus 4 car 4 train 4 | bus 1 car 1 train 1 |',
    ],
    ['a class called train in splits', 'train/bus*2 train/train*2 val/train*2', 'bus 2 train 2 | train 2 |'],
    [
      'a class called dev in a repeated split',
      'train/dev*2 train/x*2 dev/dev/x*2 dev/dev/dev*1',
      'dev 2 x 2 | dev 1 x 2 |',
    ],
    ['two folders round all', 'a/b/cat*5 a/b/dog*5', 'cat 4 dog 4 | cat 1 dog 1 |'],
    ['a cover beside the classes', 'set/cover.jpg set/cat*5 set/dog*5 README.md', 'cat 4 dog 4 | cat 1 dog 1 |'],
    ['a cover beside splits', 'set/samples.jpg set/train/cat*2 set/train/dog*2 set/val/cat*2', 'cat 2 dog 2 | cat 2 |'],
    [
      'a repository',
      'repo-main/README.md repo-main/src/x.py repo-main/data/cat*5 repo-main/data/dog*5',
      'cat 4 dog 4 | cat 1 dog 1 |',
    ],
    ['a test folder without classes', 'train/nok*5 train/ok*5 test*2', 'nok 4 ok 4 | nok 1 ok 1 |'],
    ['splits in each class', 'cat/train*3 cat/val*2 dog/train*3 dog/val*1', 'cat 3 dog 3 | cat 2 dog 1 |'],
    ['photos without a class', 'cat*5 dog*5 unlabeled*9', 'cat 4 dog 4 | cat 1 dog 1 |'],
    [
      'thumbnails and system folders',
      'cat*5 dog*5 cat/@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg @eaDir/x.jpg __MACOSX/cat/._0.jpg lost+found/x.jpg #recycle/x.jpg',
      'cat 4 dog 4 | cat 1 dog 1 |',
    ],
    [
      'small copies that a gallery makes',
      'cat*5 cat/thumbs*5 dog/a*5 dog/a/Thumbnails*5 dog/a/thumbnails/x*5',
      'cat 4 dog 4 | cat 1 dog 1 |',
    ],
    ['classes called thumbs', 'thumbs*5 hand/thumb*3 hand/index*2', 'hand 4 thumbs 4 | hand 1 thumbs 1 |'],
    ['figures beside a folder round all', 'set/cat*5 set/dog*5 docs*2 x.jpg', 'cat 4 dog 4 | cat 1 dog 1 |'],
    ['a set that was unpacked into itself', 'v/v/a*5 v/v/b*5 v/a*5 v/b*5', 'a 4 b 4 | a 1 b 1 |'],
    ['JPEG under other names', 'cat*5.jfif dog*5.JPE dog/5.pjpeg', 'cat 4 dog 5 | cat 1 dog 1 |'],
  ])('with %s', async (_, layout, expected) => {
    const dataset = await openAs(kind, folder, layout);
    expect(countsOf(dataset)).toBe(expected);
    expect(addsUp(dataset)).toBe(true);
    expect(dataset.contents?.found).toBe(filesOf(layout).size);
  });

  it('takes class names in two forms of Unicode for one class', async () => {
    const [composed, parted] = ['café', 'cafe\u0301'];
    const dataset = await openAs(kind, folder, `train/${parted}*2 train/thé*2 val/${composed}*1 val/thé*1`);
    expect(countsOf(dataset)).toBe('café 2 thé 2 | café 1 thé 1 |');
  });

  it('takes a folder in two forms of Unicode for one, wherever it lies', async () => {
    const [composed, parted] = ['café', 'cafe\u0301'];
    const dataset = await openAs(kind, folder, `${parted}/train*3 ${composed}/val*1 thé/train*3 thé/val*2`);
    expect(countsOf(dataset)).toBe('café 3 thé 3 | café 1 thé 2 |');
  });

  it.each([
    ['one photo a class', 'cat*1 dog*1', 'cat 1 dog 1 | |'],
    ['one class', 'dog*4', 'dog 3 | dog 1 |'],
    ['splits to validate and test with alone', 'val/a*2 test/b*3', '| a 2 | b 3'],
    ['classes that do not train', 'train/a*2 val/b*1', 'a 2 | b 1 |'],
  ])('to measure with may have %s', async (_, layout, expected) => {
    expect(countsOf(await openAs(kind, folder, layout, { use: 'measuring' }))).toBe(expected);
  });
});
