import { type Augmentation, parseAugmentation, UserError } from '../index.js';
import { number, wholeNumber } from './options.js';

const flag = (describe: string) => ({ type: 'number', requiresArg: true, describe, group: 'Augmentation:' }) as const;

/** A flag for each part; every one is off unless given. */
export const augmentationFlags = {
  'random-crop': flag(
    'train on random parts of the photos, of this share of the area or more; 0.35 is mild, 0.08 usual',
  ),
  flip: flag('mirror photos left to right with this chance; 0.5 is usual'),
  rotate: flag('turn photos by up to so many degrees either way'),
  brightness: flag('change the brightness by up to this share; so the next three'),
  contrast: flag('change the contrast'),
  saturation: flag('change the saturation'),
  hue: flag('turn the hue by up to this share of the colour circle, at most 0.5'),
  'rand-augment': flag('RandAugment with this magnitude, 0 to 30; 9 is usual'),
  'rand-augment-operations': flag('how many of its operations one after another (default 2)'),
  erase: flag('erase a rectangle with this chance; 0.25 is usual'),
  mixup: flag('mix photos in pairs by shares of Beta(x, x); 0.2 is usual'),
  cutmix: flag('paste parts of photos into others by shares of Beta(x, x); 1 is usual'),
} as const;

export type AugmentationArguments = { [Flag in keyof typeof augmentationFlags]: number | undefined };

/** @throws UserError `bad-arguments` for a number out of range, and for operations of a RandAugment that is off. */
export function augmentationFrom(args: AugmentationArguments): Augmentation {
  const read = (name: keyof AugmentationArguments, least: number, most: number): number | undefined => {
    const value = args[name];
    if (value === undefined) return undefined;
    const expected = most === Infinity ? `a number from ${least} up` : `a number from ${least} to ${most}`;
    return number(name, value, expected, (given) => given >= least && given <= most);
  };
  const crop = read('random-crop', 0.01, 1);
  const jitter = {
    brightness: read('brightness', 0, 1),
    contrast: read('contrast', 0, 1),
    saturation: read('saturation', 0, 1),
    hue: read('hue', 0, 0.5),
  };
  const magnitude = read('rand-augment', 0, 30);
  const given = args['rand-augment-operations'];
  const operations = given === undefined ? undefined : wholeNumber('rand-augment-operations', given, 1, 14);
  if (operations !== undefined && magnitude === undefined)
    throw new UserError(
      'bad-arguments',
      'expected --rand-augment beside --rand-augment-operations; give its magnitude',
    );
  return parseAugmentation({
    crop: crop === undefined ? undefined : { scale: [crop, 1] },
    flip: read('flip', 0, 1),
    rotate: read('rotate', 0, 180),
    jitter: Object.values(jitter).some((value) => value !== undefined) ? jitter : undefined,
    randAugment: magnitude === undefined ? undefined : { magnitude, operations },
    erase: read('erase', 0, 1),
    mixup: read('mixup', 0, Infinity),
    cutmix: read('cutmix', 0, Infinity),
  });
}
