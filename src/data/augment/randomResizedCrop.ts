import type { Random } from '../../random.js';
import type { Size, View } from '../geometry.js';
import type { Augmentation } from './augmentation.js';

const ATTEMPTS = 10;

/**
 * A random part of the photo that fills `window`, drawn as torchvision's RandomResizedCrop does: a share of the area, a ratio of
 * width to height uniform in its logarithm; where ten draws do not fit, the middle in the nearest ratio.
 */
export function randomResizedCrop(
  photo: Size,
  window: Size,
  { scale, ratio }: NonNullable<Augmentation['crop']>,
  random: Random,
): View {
  const area = photo.width * photo.height;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const target = area * random.between(...scale);
    const aspect = Math.exp(random.between(Math.log(ratio[0]), Math.log(ratio[1])));
    const width = Math.round(Math.sqrt(target * aspect));
    const height = Math.round(Math.sqrt(target / aspect));
    if (width < 1 || height < 1 || width > photo.width || height > photo.height) continue;
    const left = random.integer(photo.width - width + 1);
    const top = random.integer(photo.height - height + 1);
    return viewOf(photo, window, { left, top, width, height });
  }
  const aspect = Math.min(ratio[1], Math.max(ratio[0], photo.width / photo.height));
  const width = Math.max(1, Math.min(photo.width, Math.round(photo.height * aspect)));
  const height = Math.max(1, Math.min(photo.height, Math.round(photo.width / aspect)));
  const [left, top] = [Math.floor((photo.width - width) / 2), Math.floor((photo.height - height) / 2)];
  return viewOf(photo, window, { left, top, width, height });
}

/**
 * The view whose window shows `part`. The whole photo is what is scaled, so that the decoder may shrink on load; the part comes out
 * to half a pixel of the window.
 */
function viewOf(photo: Size, window: Size, part: Size & { left: number; top: number }): View {
  const across = along(photo.width, window.width, part.left, part.width);
  const down = along(photo.height, window.height, part.top, part.height);
  return { scaled: { width: across.scaled, height: down.scaled }, left: across.first, top: down.first, window };
}

/** On one axis, the whole length that `photo` is scaled to and the window's first pixel: those that show the part's two ends best. */
function along(photo: number, window: number, first: number, count: number): { scaled: number; first: number } {
  let best = { scaled: window, first: 0, off: Infinity };
  const exact = (photo * window) / count;
  for (const whole of [Math.floor(exact), Math.ceil(exact)]) {
    const scaled = Math.max(window, whole);
    const scale = scaled / photo;
    const centred = (first + count / 2) * scale - window / 2;
    for (const rounded of [Math.floor(centred), Math.ceil(centred)]) {
      const start = Math.max(0, Math.min(scaled - window, rounded));
      const off = Math.max(Math.abs(start - first * scale), Math.abs(start + window - (first + count) * scale));
      if (off < best.off) best = { scaled, first: start, off };
    }
  }
  return best;
}
