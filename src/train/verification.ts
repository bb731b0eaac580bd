import type { Photo } from '../data/photo.js';
import { ImageClassifier } from '../runtime/classifier.js';
import { type Agreement, LogitComparison } from './agreement.js';
import { classifyPhotos } from './classify.js';
import type { TrainEvent } from './events.js';
import { targetRows } from '../data/labels.js';
import { labelMetricsOf } from './labelMetrics.js';
import { metricsOf } from './metrics.js';

export interface Verification {
  readonly agreement: Agreement;
  /** Top-1 of the photos that were verified, or, of labels, their mean average precision. */
  readonly score: number;
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
  if (count === 0) return { agreement: new LogitComparison().result(tolerance), score: 0 };
  // Spread evenly, since the photos of a class stand together.
  const places = Array.from({ length: count }, (_, index) => Math.floor((index * photos.length) / count));
  const chosen = places.flatMap((place) => photos[place] ?? []);
  const classifier = await ImageClassifier.open(model, threads);
  const classes = classifier.labels.length;
  const { task, ending, thresholds } = classifier;
  const comparison = new LogitComparison({ ending, thresholds });
  const seen: { readonly photo: Photo; readonly scores: Float32Array }[] = [];
  try {
    for await (const each of classifyPhotos(classifier, chosen)) {
      if ('error' in each) continue;
      if (signal?.aborted) break;
      const { index, photo, scores } = each;
      const row = (places[index] ?? 0) * classes;
      comparison.add(logits.subarray(row, row + classes), scores);
      seen.push({ photo, scores });
      const done = seen.length;
      if (done % 16 === 0 || done === count)
        yield { type: 'progress', phase: 'verifying', epoch: 0, done, total: count };
    }
  } finally {
    await classifier.close();
  }
  const verified = new Float32Array(seen.length * classes);
  for (const [index, { scores }] of seen.entries()) verified.set(scores, index * classes);
  const right = seen.map(({ photo }) => photo);
  const score =
    task === 'labels'
      ? labelMetricsOf(verified, targetRows(right, classes), classes).map
      : metricsOf(
          verified,
          right.map(({ label }) => label),
          classes,
        ).top1;
  return { agreement: comparison.result(tolerance), score };
}
