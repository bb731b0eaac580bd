import type { Picture } from '../photo.js';

/** Towards a smoothed picture, or away from it, as torchvision's adjust_sharpness; 1 changes nothing. The rim stays as it is. */
export function adjustSharpness({ pixels, width, height }: Picture, factor: number): Uint8Array {
  const sharpened = pixels.slice();
  const stride = 3 * width;
  for (let y = 1; y < height - 1; y++) {
    for (let at = y * stride + 3; at < (y + 1) * stride - 3; at++) {
      const own = pixels[at] ?? 0;
      let sum = 4 * own;
      for (let row = at - stride; row <= at + stride; row += stride)
        sum += (pixels[row - 3] ?? 0) + (pixels[row] ?? 0) + (pixels[row + 3] ?? 0);
      sharpened[at] = Math.min(255, Math.max(0, factor * own + (1 - factor) * Math.round(sum / 13)));
    }
  }
  return sharpened;
}
