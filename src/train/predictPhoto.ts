import type { Unlabelled } from '../data/photo.js';
import { decodePixels } from '../data/decode.js';
import { allFinite, notFinite } from '../finite.js';
import type { ImageClassifier } from '../runtime/classifier.js';
import { softmax } from './classify.js';

/** What to call a photo in a message. */
export const nameOf = (photo: string | Buffer | Unlabelled): string =>
  typeof photo === 'string' ? photo : Buffer.isBuffer(photo) ? 'the photo' : photo.path;

export interface ScoredClass {
  readonly label: string;
  /** 0 to 1; those of all classes add up to 1. */
  readonly probability: number;
}

/**
 * The classes of one photo (a path, the bytes of its file, or a photo that was found), the likeliest first.
 * @throws UserError `unreadable-photo`, `not-finite` where the model gives no numbers.
 */
export async function predict(
  classifier: ImageClassifier,
  photo: string | Buffer | Unlabelled,
): Promise<ScoredClass[]> {
  const scores = await classifier.run(await decodePixels(photo, classifier.preprocessing), 1);
  if (!allFinite(scores)) throw notFinite(`the model gives no numbers for ${nameOf(photo)}`);
  return softmax(scores)
    .map((probability, index) => ({ label: classifier.labels[index] ?? String(index), probability }))
    .sort((a, b) => b.probability - a.probability);
}
