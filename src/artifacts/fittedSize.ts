import type { Preprocessing } from './manifest.js';

type Seen = Pick<Preprocessing, 'width' | 'height' | 'cropShare'>;

/** The size in pixels that photos are fitted to, of which the middle, `width` × `height`, is seen. */
export function fittedSize({ width, height, cropShare = 1 }: Seen): { width: number; height: number } {
  // Truncated, like timm; the small term undoes what floating point takes from a whole number.
  const fitted = (side: number) => Math.max(side, Math.floor(side / cropShare + 1e-6));
  return { width: fitted(width), height: fitted(height) };
}
