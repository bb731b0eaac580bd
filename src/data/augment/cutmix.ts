import type { Random } from '../../random.js';
import { type Batch, mixRows } from './batch.js';
import { beta } from './beta.js';

/**
 * Pastes into each picture a rectangle of the one before it in the batch, the same place for all; the target follows the area that
 * is left (Yun et al., 2019). The rectangle's area is drawn from Beta(alpha, alpha) before the rim cuts it.
 */
export function cutmix(batch: Batch, alpha: number, random: Random): Batch {
  const { pixels, count, width, height } = batch;
  const half = Math.sqrt(1 - beta(alpha, random)) / 2;
  const [x, y] = [random.integer(width), random.integer(height)];
  const left = Math.max(0, Math.floor(x - half * width));
  const right = Math.min(width, Math.floor(x + half * width));
  const top = Math.max(0, Math.floor(y - half * height));
  const bottom = Math.min(height, Math.floor(y + half * height));

  const pasted = pixels.slice();
  const length = pixels.length / count;
  for (let picture = 0; picture < count; picture++) {
    const other = (picture + count - 1) % count;
    for (let row = top; row < bottom; row++) {
      const [from, to] = [3 * (row * width + left), 3 * (row * width + right)];
      pasted.set(pixels.subarray(other * length + from, other * length + to), picture * length + from);
    }
  }
  const share = 1 - ((right - left) * (bottom - top)) / (width * height);
  return { ...batch, pixels: pasted, targets: mixRows(batch.targets, count, share) };
}
