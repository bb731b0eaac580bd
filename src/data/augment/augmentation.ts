import { z } from 'zod';
import { UserError } from '../../errors.js';

const share = z.number().min(0).max(1);
const range = (least: number, most: number) =>
  z
    .tuple([z.number().min(least).max(most), z.number().min(least).max(most)])
    .refine(([low, high]) => low <= high, 'expected the smaller number first');

/** How photos vary from view to view; every part is off unless named. */
export const augmentationSchema = z.strictObject({
  /** A random part of the photo instead of the middle: its share of the area, and its width by its height. */
  crop: z
    .strictObject({ scale: range(0.01, 1).default([0.08, 1]), ratio: range(0.1, 10).default([3 / 4, 4 / 3]) })
    .optional(),
  /** Chance of being mirrored left to right. */
  flip: share.default(0),
  /** Greatest turn either way, in degrees. */
  rotate: z.number().min(0).max(180).default(0),
  /** Greatest relative change of each (1 ± value); of hue the greatest turn as a share of the colour circle. */
  jitter: z
    .strictObject({
      brightness: share.default(0),
      contrast: share.default(0),
      saturation: share.default(0),
      hue: z.number().min(0).max(0.5).default(0),
    })
    .optional(),
  /** Operations one after another, and how strong they are, 0 to 30. */
  randAugment: z
    .strictObject({ operations: z.int().min(1).max(14).default(2), magnitude: z.number().min(0).max(30).default(9) })
    .optional(),
  /** Chance that a rectangle is erased. */
  erase: share.default(0),
  /** Parameter of the Beta distribution that two photos of a batch are mixed by; 0 is off. */
  mixup: z.number().min(0).default(0),
  /** The same, for pasting a part of one photo into another. */
  cutmix: z.number().min(0).default(0),
});

export type Augmentation = z.infer<typeof augmentationSchema>;

/** @throws UserError `bad-augmentation` that names the first part that is wrong. */
export function parseAugmentation(value: unknown): Augmentation {
  const parsed = augmentationSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.length ? ` at ${issue.path.join('.')}` : '';
  throw new UserError('bad-augmentation', `the augmentation is wrong${where}: ${issue?.message ?? 'not understood'}`);
}

/** Whether a view of a photo differs from the photo; mixing works on batches and does not count. */
export function variesPhotos({ crop, flip, rotate, jitter, randAugment, erase }: Augmentation): boolean {
  return Boolean(crop ?? jitter ?? randAugment) || flip > 0 || rotate > 0 || erase > 0;
}

/** Whether photos are mixed with others, so that their targets are soft. */
export function mixesPhotos({ mixup, cutmix }: Augmentation): boolean {
  return mixup > 0 || cutmix > 0;
}
