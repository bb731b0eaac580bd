import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KINDS, openAs } from '../layoutCases.js';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'ort-tl-layout-'))));
afterEach(() => rm(folder, { recursive: true }));

describe.each(KINDS)('a %s', (kind) => {
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
    await expect(openAs(kind, folder, layout)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  });
});
