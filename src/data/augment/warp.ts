import type { Size } from '../geometry.js';
import type { Picture } from '../photo.js';

/** Where an output pixel comes from: x = a·x' + b·y' + c, y = d·x' + e·y' + f, in pixels from the picture's centre. */
export type Affine = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

/** Turns counter-clockwise. */
export function rotation(degrees: number): Affine {
  const [cosine, sine] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  return [cosine, -sine, 0, sine, cosine, 0];
}

/** Leans to the left by `share` of the height, the upper rim's corner in place. */
export function shearX({ height }: Size, share: number): Affine {
  return [1, share, (share * height) / 2, 0, 1, 0];
}

/** Shears as `shearX` does, but upwards by `share` of the width, with the left rim in place. */
export function shearY({ width }: Size, share: number): Affine {
  return [1, 0, 0, share, 1, (share * width) / 2];
}

/** Moves right and down. */
export function translation(x: number, y: number): Affine {
  return [1, 0, -x, 0, 1, -y];
}

/** Bilinear; black beyond the rim. */
export function warp({ pixels, width, height }: Picture, [a, b, c, d, e, f]: Affine): Uint8Array {
  const warped = new Uint8Array(pixels.length);
  const [middleX, middleY] = [(width - 1) / 2, (height - 1) / 2];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const x = a * (column - middleX) + b * (row - middleY) + c + middleX;
      const y = d * (column - middleX) + e * (row - middleY) + f + middleY;
      const [left, top] = [Math.floor(x), Math.floor(y)];
      if (left < -1 || top < -1 || left >= width || top >= height) continue;
      const [right, bottom] = [x - left, y - top];
      const at = 3 * (top * width + left);
      const shares = [
        left >= 0 && top >= 0 ? (1 - right) * (1 - bottom) : 0,
        left + 1 < width && top >= 0 ? right * (1 - bottom) : 0,
        left >= 0 && top + 1 < height ? (1 - right) * bottom : 0,
        left + 1 < width && top + 1 < height ? right * bottom : 0,
      ] as const;
      const to = 3 * (row * width + column);
      for (let channel = 0; channel < 3; channel++) {
        const from = at + channel;
        warped[to + channel] =
          shares[0] * (pixels[from] ?? 0) +
          shares[1] * (pixels[from + 3] ?? 0) +
          shares[2] * (pixels[from + 3 * width] ?? 0) +
          shares[3] * (pixels[from + 3 * width + 3] ?? 0) +
          0.5;
      }
    }
  }
  return warped;
}
