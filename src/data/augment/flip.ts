import type { Picture } from '../photo.js';

/** Mirrored left to right. */
export function flip({ pixels, width, height }: Picture): Uint8Array {
  const flipped = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [from, to] = [3 * (y * width + x), 3 * (y * width + width - 1 - x)];
      for (let channel = 0; channel < 3; channel++) flipped[to + channel] = pixels[from + channel] ?? 0;
    }
  }
  return flipped;
}
