import type { Shape } from '../graph/graph.js';

/** How a model takes an image: [N, C, H, W] or [N, H, W, C], of three channels or of one. */
export interface ImageLayout {
  readonly channels: 1 | 3;
  readonly isChannelsFirst: boolean;
  readonly height: number;
  readonly width: number;
}

/** The layout of images of a shape; undefined for what is no image in colour or grey. */
export function imageLayout(shape: Shape | undefined): ImageLayout | undefined {
  const [, a, b, c] = shape ?? [];
  if (shape?.length !== 4) return undefined;
  for (const channels of [3, 1] as const) {
    const isChannelsFirst = a === channels;
    if (!isChannelsFirst && c !== channels) continue;
    const [height, width] = isChannelsFirst ? [b, c] : [a, b];
    return typeof height === 'number' && typeof width === 'number'
      ? { channels, isChannelsFirst, height, width }
      : undefined;
  }
  return undefined;
}
