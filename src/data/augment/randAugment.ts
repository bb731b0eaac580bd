import type { Random } from '../../random.js';
import type { Picture } from '../photo.js';
import type { Augmentation } from './augmentation.js';
import { adjustBrightness, adjustContrast, adjustSaturation } from './colour.js';
import { adjustSharpness } from './sharpness.js';
import { autoContrast, equalize, posterize, solarize } from './tone.js';
import { rotation, shearX, shearY, translation, warp } from './warp.js';

/** `strength` runs from 0 to 1; `sign` is −1 or 1. */
type Operation = (picture: Picture, strength: number, sign: number) => Uint8Array;

/** How far torchvision's RandAugment moves a picture at most: 150 of 331 pixels, the size of its authors' pictures. */
const FARTHEST = 150 / 331;

/** The fourteen of RandAugment (Cubuk et al., 2019), their ranges as in torchvision's `RandAugment`. */
const OPERATIONS: [Operation, ...Operation[]] = [
  ({ pixels }) => pixels,
  (picture, strength, sign) => warp(picture, shearX(picture, 0.3 * strength * sign)),
  (picture, strength, sign) => warp(picture, shearY(picture, 0.3 * strength * sign)),
  (picture, strength, sign) => warp(picture, translation(sign * Math.trunc(FARTHEST * picture.width * strength), 0)),
  (picture, strength, sign) => warp(picture, translation(0, sign * Math.trunc(FARTHEST * picture.height * strength))),
  (picture, strength, sign) => warp(picture, rotation(30 * strength * sign)),
  ({ pixels }, strength, sign) => adjustBrightness(pixels, 1 + 0.9 * strength * sign),
  ({ pixels }, strength, sign) => adjustSaturation(pixels, 1 + 0.9 * strength * sign),
  ({ pixels }, strength, sign) => adjustContrast(pixels, 1 + 0.9 * strength * sign),
  (picture, strength, sign) => adjustSharpness(picture, 1 + 0.9 * strength * sign),
  ({ pixels }, strength) => posterize(pixels, 8 - Math.round(4 * strength)),
  ({ pixels }, strength) => solarize(pixels, 255 * (1 - strength)),
  ({ pixels }) => autoContrast(pixels),
  ({ pixels }) => equalize(pixels),
];
const STRONGEST = 30;

/** `operations` of the fourteen, drawn anew each time, all at the same magnitude. */
export function randAugment(
  picture: Picture,
  { operations, magnitude }: NonNullable<Augmentation['randAugment']>,
  random: Random,
): Uint8Array {
  let { pixels } = picture;
  for (let at = 0; at < operations; at++) {
    const operation = random.pick(OPERATIONS);
    pixels = operation({ ...picture, pixels }, magnitude / STRONGEST, random.pick([-1, 1]));
  }
  return pixels;
}
