import { decodePixels } from '../data/decode.js';
import type { ImageClassifier } from '../runtime/classifier.js';
import { softmax } from './classify.js';

export interface ScoredClass {
  readonly label: string;
  /** 0 to 1; those of all classes add up to 1. */
  readonly probability: number;
}

/**
 * The classes of one photo (a path, or the bytes of its file), the likeliest first.
 * @throws UserError `unreadable-photo`.
 */
export async function predict(classifier: ImageClassifier, photo: string | Buffer): Promise<ScoredClass[]> {
  const scores = await classifier.run(await decodePixels(photo, classifier.preprocessing), 1);
  return softmax(scores)
    .map((probability, index) => ({ label: classifier.labels[index] ?? String(index), probability }))
    .sort((a, b) => b.probability - a.probability);
}
