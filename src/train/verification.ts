import type { Photo } from '../data/photo.js';
import { ImageClassifier } from '../runtime/classifier.js';
import { type Agreement, LogitComparison } from './agreement.js';
import { classifyPhotos } from './classify.js';
import type { TrainEvent } from './events.js';
import { predictionOf } from './metrics.js';

export interface Verification {
  readonly agreement: Agreement;
  /** Photos whose class is right. */
  readonly right: number;
}

export interface VerifyOptions {
  /** How many of the photos, spread evenly. */
  readonly count: number;
  /** What the evaluation that chose the model gave, [photos, classes]. */
  readonly logits: Float32Array;
  readonly threads: number;
  /** The share of the largest logit by which logits may differ. */
  readonly tolerance: number;
  /** Ends it after the photo under way. */
  readonly signal: AbortSignal | undefined;
}

/** Runs the exported model again, as a program that deploys it would, and compares its logits with the chosen evaluation's. */
export async function* verify(
  model: string,
  photos: readonly Photo[],
  { count, logits, threads, tolerance, signal }: VerifyOptions,
): AsyncGenerator<TrainEvent, Verification> {
  if (count === 0) return { agreement: new LogitComparison(false).result(tolerance), right: 0 };
  // Spread evenly, since the photos of a class stand together.
  const places = Array.from({ length: count }, (_, index) => Math.floor((index * photos.length) / count));
  const chosen = places.flatMap((place) => photos[place] ?? []);
  const classifier = await ImageClassifier.open(model, threads);
  const classes = classifier.labels.length;
  const comparison = new LogitComparison(classifier.givesShares);
  let [done, right] = [0, 0];
  try {
    for await (const each of classifyPhotos(classifier, chosen)) {
      if ('error' in each) continue;
      if (signal?.aborted) break;
      const { index, photo, scores } = each;
      const row = (places[index] ?? 0) * classes;
      comparison.add(logits.subarray(row, row + classes), scores);
      if (predictionOf(scores) === photo.label) right++;
      if (++done % 16 === 0 || done === count)
        yield { type: 'progress', phase: 'verifying', epoch: 0, done, total: count };
    }
  } finally {
    await classifier.close();
  }
  return { agreement: comparison.result(tolerance), right };
}
