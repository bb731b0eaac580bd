import type { Random } from '../../random.js';
import type { Picture } from '../photo.js';

/** Share of the area, and ratio of height to width, of Zhong et al., "Random Erasing Data Augmentation" (2017). */
const SCALE = [0.02, 1 / 3] as const;
const RATIO = [0.3, 3.3] as const;
const ATTEMPTS = 10;

/** Fills a random rectangle with `fill`, R, G, B from 0 to 255; where ten draws do not fit, nothing is erased. */
export function erase({ pixels, width, height }: Picture, fill: readonly number[], random: Random): Uint8Array {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const area = width * height * random.between(...SCALE);
    const aspect = Math.exp(random.between(Math.log(RATIO[0]), Math.log(RATIO[1])));
    const [rows, columns] = [Math.round(Math.sqrt(area * aspect)), Math.round(Math.sqrt(area / aspect))];
    if (rows < 1 || columns < 1 || rows >= height || columns >= width) continue;
    const [top, left] = [random.integer(height - rows + 1), random.integer(width - columns + 1)];
    const line = Uint8Array.from({ length: 3 * columns }, (_, at) => fill[at % 3] ?? 0);
    const erased = pixels.slice();
    for (let row = top; row < top + rows; row++) erased.set(line, 3 * (row * width + left));
    return erased;
  }
  return pixels;
}
