import { mapChannelLevels, mapLevels } from './levels.js';

/** Operations on the levels of uint8 RGB, as torchvision's of the same names; each channel by itself. */

/** Keeps the highest `bits` of each value, 0 to 8. */
export function posterize(pixels: Uint8Array, bits: number): Uint8Array {
  const mask = 256 - 2 ** (8 - bits);
  return mapLevels(pixels, (value) => value & mask);
}

/** Inverts the values from `threshold` up. */
export function solarize(pixels: Uint8Array, threshold: number): Uint8Array {
  return mapLevels(pixels, (value) => (value >= threshold ? 255 - value : value));
}

/** Stretches each channel to the whole range. */
export function autoContrast(pixels: Uint8Array): Uint8Array {
  return mapChannelLevels(pixels, (counts) => {
    const low = counts.findIndex((count) => count > 0);
    const high = counts.findLastIndex((count) => count > 0);
    return (value) => (high > low ? ((value - low) * 255) / (high - low) : value);
  });
}

/** Makes every level of each channel about as frequent. */
export function equalize(pixels: Uint8Array): Uint8Array {
  return mapChannelLevels(pixels, (counts) => {
    const highest = counts[counts.findLastIndex((count) => count > 0)] ?? 0;
    const step = Math.floor((pixels.length / 3 - highest) / 255);
    let below = 0;
    const levels = counts.map((count) => {
      const level = Math.floor((below + Math.floor(step / 2)) / step);
      below += count;
      return Math.min(255, level);
    });
    return (value) => (step === 0 ? value : (levels[value] ?? 0));
  });
}
