import type { Random } from '../../random.js';
import type { Augmentation } from './augmentation.js';
import { adjustBrightness, adjustContrast, adjustHue, adjustSaturation } from './colour.js';

/** Random brightness, contrast, saturation and hue, in a random order. */
export function colourJitter(
  pixels: Uint8Array,
  { brightness, contrast, saturation, hue }: NonNullable<Augmentation['jitter']>,
  random: Random,
): Uint8Array {
  const about = (middle: number, most: number) => random.between(middle - most, middle + most);
  const factors = [about(1, brightness), about(1, contrast), about(1, saturation), about(0, hue)] as const;
  const steps = random.shuffle([
    (before: Uint8Array) => (brightness > 0 ? adjustBrightness(before, factors[0]) : before),
    (before: Uint8Array) => (contrast > 0 ? adjustContrast(before, factors[1]) : before),
    (before: Uint8Array) => (saturation > 0 ? adjustSaturation(before, factors[2]) : before),
    (before: Uint8Array) => (hue > 0 ? adjustHue(before, factors[3]) : before),
  ]);
  return steps.reduce((before, step) => step(before), pixels);
}
