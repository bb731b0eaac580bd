import { LUMA, LUMA_SHIFT, type Preprocessing } from '../artifacts/manifest.js';
import type { SentTensor } from './sentTensor.js';

/** What a model takes: bytes or numbers, and where their channels are. */
export interface TakenImages {
  readonly type: string;
  readonly shape: readonly (number | string)[];
}

/** Images as a model takes them. */
export interface ImageFeed extends SentTensor {
  readonly data: Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>;
}

/** In pixels. */
export interface ImageSize {
  readonly height: number;
  readonly width: number;
}

/** How many channels images of a shape have, and whether these come before the places; undefined for no images. */
export function channelsOf(shape: readonly (number | string)[]): { channels: 1 | 3; isFirst: boolean } | undefined {
  if (shape.length !== 4) return undefined;
  for (const channels of [3, 1] as const)
    for (const isFirst of [true, false]) if (shape[isFirst ? 1 : 3] === channels) return { channels, isFirst };
  return undefined;
}

/** A model's input of `batch` images, of which `pixels`, uint8 RGB [images, H, W, 3], may hold fewer: bytes, or normalised numbers. */
export function imageFeed(
  { type, shape }: TakenImages,
  { mean, std }: Pick<Preprocessing, 'mean' | 'std'>,
  pixels: Uint8Array,
  batch: number,
  { height, width }: ImageSize,
): Omit<ImageFeed, 'name'> {
  const { channels, isFirst } = channelsOf(shape) ?? { channels: 3, isFirst: false };
  const area = height * width;
  const data = type === 'uint8' ? new Uint8Array(batch * channels * area) : new Float32Array(batch * channels * area);
  const images = pixels.length / (3 * area);
  for (let channel = 0; channel < channels; channel++) {
    const numbers = type === 'uint8' ? undefined : numbersOf(mean[channel] ?? 0, std[channel] ?? 1);
    for (let image = 0; image < images; image++) {
      let at = isFirst ? (image * channels + channel) * area : image * area * channels + channel;
      const stride = isFirst ? 1 : channels;
      const end = (image + 1) * area * 3;
      for (let from = image * area * 3; from < end; from += 3) {
        const level = channels === 1 ? grey(pixels, from) : (pixels[from + channel] ?? 0);
        data[at] = numbers ? (numbers[level] ?? 0) : level;
        at += stride;
      }
    }
  }
  const dims = isFirst ? [batch, channels, height, width] : [batch, height, width, channels];
  return { type: data instanceof Uint8Array ? 'uint8' : 'float32', data, dims };
}

/** What each level from 0 to 255 is normalised to. */
function numbersOf(mean: number, std: number): Float32Array {
  return Float32Array.from({ length: 256 }, (_, level) => (level / 255 - mean) / std);
}

/** Grey of the pixel whose red is at `from`, as Pillow makes it. */
function grey(pixels: Uint8Array, from: number): number {
  const sum = LUMA.reduce((total, weight, channel) => total + weight * (pixels[from + channel] ?? 0), LUMA_SHIFT / 2);
  return Math.floor(sum / LUMA_SHIFT);
}
