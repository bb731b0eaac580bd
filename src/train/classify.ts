import type { Photo } from '../data/photo.js';
import { PhotoReader, type UnreadablePhoto } from '../data/photoReader.js';
import type { ImageClassifier } from '../runtime/classifier.js';
import { underWay } from '../underWay.js';

export interface Classified {
  /** Place in the list of photos. */
  readonly index: number;
  readonly photo: Photo;
  /** Class scores, as the model gives them. */
  readonly scores: Float32Array;
}

/** Photos that are decoding, or decoded and waiting for their turn. */
const AHEAD = 16;

/** Runs an exported model on photos, in their order, as a program that deploys it would: one at a time. Those that cannot be read are told of. */
export async function* classifyPhotos(
  classifier: ImageClassifier,
  photos: readonly Photo[],
): AsyncGenerator<Classified | UnreadablePhoto> {
  const most = await classifier.expect(photos.length);
  const reading = PhotoReader.ofPixels().read(photos, classifier.preprocessing, { concurrency: most + AHEAD });
  yield* underWay(reading, most, async (read) => {
    if ('error' in read) return read;
    const { index, photo, decoded } = read;
    return { index, photo, scores: await classifier.run(decoded, 1) };
  });
}

/** Scores as shares that add up to 1. */
export function softmax(scores: Float32Array): number[] {
  const largest = scores.reduce((most, score) => Math.max(most, score), -Infinity);
  const powers = Array.from(scores, (score) => Math.exp(score - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
