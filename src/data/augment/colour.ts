import { mapLevels } from './levels.js';

/** Adjustments of uint8 RGB as torchvision's of the same names; a factor of 1 changes nothing. */

export function adjustBrightness(pixels: Uint8Array, factor: number): Uint8Array {
  return mapLevels(pixels, (value) => factor * value);
}

/** Towards the mean lightness of the picture, or away from it. */
export function adjustContrast(pixels: Uint8Array, factor: number): Uint8Array {
  let sum = 0;
  for (let at = 0; at < pixels.length; at += 3) sum += greyAt(pixels, at);
  const mean = sum / (pixels.length / 3);
  return mapLevels(pixels, (value) => factor * value + (1 - factor) * mean);
}

/** Towards grey, or away from it. */
export function adjustSaturation(pixels: Uint8Array, factor: number): Uint8Array {
  const adjusted = new Uint8Array(pixels.length);
  for (let at = 0; at < pixels.length; at += 3) {
    const grey = (1 - factor) * greyAt(pixels, at);
    for (let channel = at; channel < at + 3; channel++)
      adjusted[channel] = clamped(factor * (pixels[channel] ?? 0) + grey);
  }
  return adjusted;
}

/** Turns the hue by `share` of the colour circle, −0.5 to 0.5. */
export function adjustHue(pixels: Uint8Array, share: number): Uint8Array {
  const adjusted = new Uint8Array(pixels.length);
  for (let at = 0; at < pixels.length; at += 3) {
    const [r, g, b] = [pixels[at] ?? 0, pixels[at + 1] ?? 0, pixels[at + 2] ?? 0];
    const most = Math.max(r, g, b);
    const chroma = most - Math.min(r, g, b);
    const hue =
      chroma === 0 ? 0 : most === r ? (g - b) / chroma : most === g ? 2 + (b - r) / chroma : 4 + (r - g) / chroma;
    // HSV back to RGB: each channel leaves the maximum by how far the hue lies from its own.
    for (let channel = 0; channel < 3; channel++) {
      const place = (5 - 2 * channel + hue + 6 * share + 12) % 6;
      adjusted[at + channel] = most - chroma * Math.max(0, Math.min(place, 4 - place, 1)) + 0.5;
    }
  }
  return adjusted;
}

/** Rec. 601 lightness, in whole numbers as torchvision has it. */
function greyAt(pixels: Uint8Array, at: number): number {
  return Math.floor(0.2989 * (pixels[at] ?? 0) + 0.587 * (pixels[at + 1] ?? 0) + 0.114 * (pixels[at + 2] ?? 0));
}

function clamped(value: number): number {
  return Math.min(255, Math.max(0, value));
}
