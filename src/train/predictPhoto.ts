import type { Unlabelled } from '../data/photo.js';
import { decodePixels } from '../data/decode.js';
import { UserError } from '../errors.js';
import { allFinite, notFinite } from '../finite.js';
import type { ImageClassifier } from '../runtime/classifier.js';
import { USUAL_THRESHOLD } from '../artifacts/task.js';
import { underWay } from '../underWay.js';
import { softmax } from './classify.js';
import { sigmoid } from './labelMetrics.js';

/** What to call a photo in a message. */
export const nameOf = (photo: string | Buffer | Unlabelled): string =>
  typeof photo === 'string' ? photo : Buffer.isBuffer(photo) ? 'the photo' : photo.path;

export interface ScoredClass {
  readonly label: string;
  /** 0 to 1; those of all classes add up to 1, those of labels do not. */
  readonly probability: number;
  /** Of labels: from which probability on a photo has it. */
  readonly threshold?: number;
}

/** What gives the scores of a photo's pixels. */
type PhotoScorer = Pick<ImageClassifier, 'labels' | 'preprocessing' | 'run' | 'thresholds'>;

/**
 * The classes, or the labels, of one photo (a path, the bytes of its file, or a photo that was found), all of them, the likeliest first.
 * @throws UserError `unreadable-photo`, `not-finite` where the model gives no numbers.
 */
export async function predict(classifier: PhotoScorer, photo: string | Buffer | Unlabelled): Promise<ScoredClass[]> {
  const scores = await classifier.run(await decodePixels(photo, classifier.preprocessing), 1);
  if (!allFinite(scores)) throw notFinite(`the model gives no numbers for ${nameOf(photo)}`);
  const { thresholds } = classifier;
  const shares = thresholds ? Array.from(scores, sigmoid) : softmax(scores);
  return shares
    .map((probability, index) => ({
      label: classifier.labels[index] ?? String(index),
      probability,
      ...(thresholds ? { threshold: thresholds[index] ?? USUAL_THRESHOLD } : {}),
    }))
    .sort((a, b) => b.probability - a.probability);
}

/** What {@link predict} gives of each of many photos, in their order, several of them at once; the error of one that it refuses. */
export async function* predictAll(
  classifier: ImageClassifier,
  photos: readonly (string | Buffer | Unlabelled)[],
): AsyncGenerator<ScoredClass[] | UserError> {
  const most = await classifier.expect(photos.length);
  yield* underWay(photos, most, (photo) =>
    predict(classifier, photo).catch((thrown: unknown) => {
      if (thrown instanceof UserError) return thrown;
      throw thrown;
    }),
  );
}
