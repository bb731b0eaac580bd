import { rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Dataset, OpenOptions } from '../../src/data/dataset.js';
import { openDataset } from '../../src/data/openDataset.js';
import { addsUp, JPEG, writeAll, zipOf } from './layoutCases.js';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'ort-tl-layout-'))));
afterEach(() => rm(folder, { recursive: true }));

/** `cat*3 dog*2.heic README.md`: three photos in `cat`, two files in `dog`, and one file. */
function filesOf(layout: string): Map<string, Buffer> {
  const paths = layout.split(' ').flatMap((word) => {
    const [, at = '', count = '', extension = '.jpg'] = /^(.*)\*(\d+)(\.\w+)?$/.exec(word) ?? [];
    return at === '' ? [word] : Array.from({ length: Number(count) }, (_, index) => `${at}/${index}${extension}`);
  });
  return new Map(paths.map((path) => [path, /\.(jpg|png)$/.test(path) ? JPEG : Buffer.from('text')]));
}

const KINDS = ['folder', 'zip'] as const;

/** Writes a layout as a folder or a zip file, and opens it. */
async function open(kind: (typeof KINDS)[number], layout: string, options: OpenOptions = {}): Promise<Dataset> {
  const source = join(folder, kind === 'zip' ? 'set.zip' : 'set');
  rmSync(source, { recursive: true, force: true });
  if (kind === 'zip') writeFileSync(source, zipOf(filesOf(layout)));
  else writeAll(source, filesOf(layout));
  return openDataset(source, options);
}

/** `a 3 b 3 | a 1 b 1 | a 2`: the photos of each class that train, validate, and are kept for testing. */
function countsOf({ classes, train, val, test = [] }: Dataset): string {
  const counts = (photos: Dataset['train']) =>
    classes.flatMap((name, label) => {
      const count = photos.filter((photo) => photo.label === label).length;
      return count === 0 ? [] : [`${name} ${count}`];
    });
  return [train, val, test]
    .map((photos) => counts(photos).join(' '))
    .join(' | ')
    .replaceAll(/ +/g, ' ')
    .trim();
}

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
    const dataset = await open(kind, layout);
    expect(countsOf(dataset)).toBe(expected);
    expect(addsUp(dataset)).toBe(true);
    expect(dataset.contents?.found).toBe(filesOf(layout).size);
  });

  it.each([
    [
      'train*3 train/_annotations.coco.json valid*2',
      'no-photos',
      /3 photos lie in .*train itself, not in class folders \(with _annotations\.coco\.json/,
    ],
    ['1.jpg 2.jpg 3.jpg', 'no-photos', /3 photos lie in .*set[^ /]* itself, not in class folders/],
    ['images*6', 'one-class', /one class only, "images": its 6 photos lie in that folder itself, not in class folders/],
    [
      'train/images*3 train/labels*3.txt valid/images*1 valid/labels*1.txt',
      'no-classes',
      /detection \(images\/ and labels\/\)/,
    ],
    [
      'images/train*3 images/val*2 labels/train*3.txt labels/val*2.txt',
      'no-classes',
      /detection \(images\/ and labels\/\)/,
    ],
    ['JPEGImages*3 Annotations*3.xml', 'no-classes', /detection \(JPEGImages\/ and Annotations\/\)/],
    ['ds/img*3 ds/ann*3.json', 'no-classes', /detection \(img\/ and ann\/\)/],
    ['training/image_2*3 training/label_2*3.txt', 'no-classes', /detection \(image_2\/ and label_2\/\)/],
    ['images*3 labels*3.txt overlays*2', 'no-classes', /detection \(images\/ and labels\/\)/],
    [
      'V/JPEGImages*3 V/Annotations*3.xml V/ImageSets/Main/train.txt V/SegmentationClass*2.png V/SegmentationObject*2.png',
      'no-classes',
      /segmentation \(JPEGImages\/ and Segmentation/,
    ],
    [
      'leftImg8bit/train/x*3.png leftImg8bit/val/x*2.png gtFine/train/x*3.png gtFine/val/x*2.png',
      'no-classes',
      /segmentation \(leftImg8bit\/ and gtFine\/\)/,
    ],
    ['obj_train_data*3 obj_train_data*3.txt', 'one-class', /with 3 \.txt it looks like a set for detection$/],
    ['data/obj*3 data/obj.names data/obj.data', 'one-class', /with obj\.names it looks like a set for detection$/],
    [
      'set*9 set/cat*2 set/dog*2',
      'one-class',
      /if cat and dog in .*set are the classes, remove the 9 photos beside them$/,
    ],
    [
      'processed/v1/train/a*3 processed/v1/train/b*3 processed/v1/val/a*1 raw*4',
      'ambiguous-layout',
      /v1 holds train and val with class folders, and other photos lie in .*raw; keep one of them, or name the folder/,
    ],
    ['images*3 masks*3.png', 'no-classes', /segmentation \(images\/ and masks\/\)/],
    ['val/a*2 val/b*2 test/a*2', 'no-train-split', /but none to train with; add a folder train/],
    ['train/a*2 train/b*2 training/a*2 val/a*1', 'ambiguous-layout', /train.* and .*training are both called/],
    ['train/a*2 train/b*2 other/a*2 other/b*2', 'ambiguous-layout', /hold folders of the same names \(a and b\)/],
    ['cat/train*2 cat/val*2 dog*3', 'ambiguous-layout', /cat holds train and val, and .*dog does not/],
    ['cat*3 dog*5.heic', 'class-without-photos', /"dog" .* but 5 \.heic; convert/],
    ['cat*3.heic dog*5.bmp', 'no-photos', /it holds 5 \.bmp, 3 \.heic; convert/],
    ['a/batches.meta a/data_batch_1', 'no-photos', /CIFAR's python version \(pickles\).*binary version/],
    [
      'cifar-100-python/meta cifar-100-python/train cifar-100-python/test',
      'no-photos',
      /CIFAR's python version.*cifar-100-binary/,
    ],
    [
      'cifar-100-python/meta cifar-100-python/train cifar-100-python/test cifar-100-python/file.txt~ README.md',
      'no-photos',
      /CIFAR's python version.*cifar-100-binary/,
    ],
    ['train.tfrecord-00000-of-00010', 'no-photos', /TFRecord/],
    ['a/train-images-idx3-ubyte', 'no-photos', /MNIST's format/],
    ['data.npz', 'no-photos', /NumPy/],
    ['images.tar.gz', 'no-photos', /unpack it first/],
    ['train/Cat*3 train/dog*3 val/cat*3', 'unknown-class', /call it "Cat", as there/],
    ['train/hot_dog*3 train/dog*3 val/Hot-dog*3', 'unknown-class', /"Hot-dog" .*call it "hot_dog", as there/],
    [
      'train/ab*3 train/dog*3 val/a\u200bb*3',
      'unknown-class',
      /class "a\\u200bb" of .*val is not in .*train \(ab, dog\); call it "ab", as there/,
    ],
    [
      'train/a\u00a0*3 train/dog*3 val/a*3',
      'unknown-class',
      /class "a" of .*val is not in .*train \(a\\u00a0, dog\); call it "a\\u00a0", as there/,
    ],
    ['train/cat*3 train/dog*3 val/bird*3', 'unknown-class', /class "bird" of .*val is not in .*train/],
  ])('with %s is refused', async (layout, code, message) => {
    await expect(open(kind, layout)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

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
    const { contents } = await open(kind, layout);
    expect(contents?.warnings).toEqual([expect.stringMatching(line)]);
  });

  it('tells nothing where there is nothing to tell', async () => {
    const { contents } = await open(
      kind,
      'README.md .DS_Store train/a*2 train/b*2 train/b/.hidden.jpg val/a*2 labels.csv',
    );
    expect(contents?.warnings).toEqual([]);
    expect(contents?.leftOut).toEqual({ '.md': 1, 'system files': 1, 'hidden files': 1, '.csv': 1 });
  });

  it('takes class names in two forms of Unicode for one class', async () => {
    const [composed, parted] = ['café', 'cafe\u0301'];
    const dataset = await open(kind, `train/${parted}*2 train/thé*2 val/${composed}*1 val/thé*1`);
    expect(countsOf(dataset)).toBe('café 2 thé 2 | café 1 thé 1 |');
  });

  it('takes a folder in two forms of Unicode for one, wherever it lies', async () => {
    const [composed, parted] = ['café', 'cafe\u0301'];
    const dataset = await open(kind, `${parted}/train*3 ${composed}/val*1 thé/train*3 thé/val*2`);
    expect(countsOf(dataset)).toBe('café 3 thé 3 | café 1 thé 2 |');
  });

  it('counts what a limit leaves out', async () => {
    const dataset = await open(kind, 'a*9 b*9', { limit: 2, valLimit: 1 });
    expect(countsOf(dataset)).toBe('a 2 b 2 | a 1 b 1 |');
    expect(dataset.contents).toMatchObject({ found: 18, leftOut: { 'over the limit': 12 } });
  });

  it.each([
    ['one photo a class', 'cat*1 dog*1', 'cat 1 dog 1 | |'],
    ['one class', 'dog*4', 'dog 3 | dog 1 |'],
    ['splits to validate and test with alone', 'val/a*2 test/b*3', '| a 2 | b 3'],
    ['classes that do not train', 'train/a*2 val/b*1', 'a 2 | b 1 |'],
  ])('to measure with may have %s', async (_, layout, expected) => {
    expect(countsOf(await open(kind, layout, { use: 'measuring' }))).toBe(expected);
  });
});
