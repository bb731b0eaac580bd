import type { Photo } from '../data/photo.js';
import { PhotoReader } from '../data/photoReader.js';
import type { UserError } from '../errors.js';
import type { ImageClassifier } from '../runtime/classifier.js';

export interface Classified {
  /** Place in the list of photos. */
  readonly index: number;
  readonly photo: Photo;
  /** Class scores, as the model gives them. */
  readonly scores: Float32Array;
}

/** Photos that are decoding, or decoded and waiting for their turn. */
const AHEAD = 16;

/** Runs an exported model on photos, in their order, as a program that deploys it would: one at a time. */
export async function* classifyPhotos(
  classifier: ImageClassifier,
  photos: readonly Photo[],
  onSkipped: (photo: Photo, error: UserError) => void = () => undefined,
): AsyncGenerator<Classified> {
  const decoded = PhotoReader.ofPixels().read(photos, classifier.preprocessing, { concurrency: AHEAD, onSkipped });
  for await (const { index, photo, decoded: pixels } of decoded)
    yield { index, photo, scores: await classifier.run(pixels, 1) };
}

/** Scores as shares that add up to 1. */
export function softmax(scores: Float32Array): number[] {
  const largest = scores.reduce((most, score) => Math.max(most, score), -Infinity);
  const powers = Array.from(scores, (score) => Math.exp(score - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
