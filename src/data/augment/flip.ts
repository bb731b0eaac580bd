import type { Picture } from '../photo.js';

/** Mirrored left to right. */
export function flip({ pixels, width, height }: Picture): Uint8Array {
  const flipped = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 3 * (y * width + x);
      flipped.set(pixels.subarray(from, from + 3), 3 * (y * width + width - 1 - x));
    }
  }
  return flipped;
}
