import { z } from 'zod';
import { UserError } from '../../errors.js';
import { joined, numberFrom, setting, wholeNumber } from '../../settings.js';
import { type augmentationSchema, parseAugmentation } from './augmentation.js';

const part = (least: number, most: number, help: string) =>
  setting(numberFrom(least, most).optional(), { group: 'Augmentation', help });

/** A flag for each part; every one is off unless given. */
const parts = {
  randomCrop: part(
    0.01,
    1,
    'train on random parts of the photos, of this share of the area or more; 0.35 is mild, 0.08 usual',
  ),
  flip: part(0, 1, 'mirror photos left to right with this chance; 0.5 is usual'),
  rotate: part(0, 180, 'turn photos by up to so many degrees either way'),
  brightness: part(0, 1, 'change the brightness by up to this share; so the next three'),
  contrast: part(0, 1, 'change the contrast'),
  saturation: part(0, 1, 'change the saturation'),
  hue: part(0, 0.5, 'turn the hue by up to this share of the colour circle, at most 0.5'),
  randAugment: part(0, 30, 'RandAugment with this magnitude, 0 to 30; 9 is usual'),
  randAugmentOperations: setting(wholeNumber(1, 14).optional(), {
    group: 'Augmentation',
    help: 'how many of its operations one after another (default 2)',
  }),
  erase: part(0, 1, 'erase a rectangle with this chance; 0.25 is usual'),
  mixup: part(0, Infinity, 'mix photos in pairs by shares of Beta(x, x); 0.2 is usual'),
  cutmix: part(0, Infinity, 'paste parts of photos into others by shares of Beta(x, x); 1 is usual'),
};

/** How photos vary from view to view. */
export const augmentation = joined(
  z.custom<z.input<typeof augmentationSchema>>().default({}).transform(parseAugmentation),
  parts,
  ({
    randomCrop,
    brightness,
    contrast,
    saturation,
    hue,
    randAugment,
    randAugmentOperations,
    ...others
  }): z.input<typeof augmentationSchema> => {
    if (randAugmentOperations !== undefined && randAugment === undefined)
      throw new UserError('bad-arguments', 'expected ‹randAugment› beside ‹randAugmentOperations›; give its magnitude');
    const jitter = { brightness, contrast, saturation, hue };
    const hasJitter = Object.values(jitter).some((value) => value !== undefined);
    return {
      ...others,
      crop: randomCrop === undefined ? undefined : { scale: [randomCrop, 1] },
      jitter: hasJitter ? jitter : undefined,
      randAugment:
        randAugment === undefined ? undefined : { magnitude: randAugment, operations: randAugmentOperations },
    };
  },
);
