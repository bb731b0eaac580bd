import type { Photo } from '../data/dataset.js';
import { decodePhoto, decodeWhole } from '../data/decode.js';
import type { Picture } from '../data/photo.js';
import { PhotoReader } from '../data/photoReader.js';
import { UserError } from '../errors.js';
import { median } from '../bench/statistics.js';
import type { ImageClassifier } from '../runtime/classifier.js';
import { predictionOf } from '../train/metrics.js';

/** How an exported model compares with the one that was trained, on the same photos. */
export interface Parity {
  readonly photos: number;
  /** Share of the photos that both give the same class. */
  readonly agreement: number;
  /** Of two logits of one photo and class. */
  readonly largestDifference: number;
  /** Share of the photos whose class is known that is given it; absent where none is known. */
  readonly top1?: { readonly trained: number; readonly exported: number };
  /** Of the file. */
  readonly bytes: { readonly trained: number; readonly exported: number };
  /** Median time of a run on one image, or on as many as the model takes, in ONNX Runtime on this machine. */
  readonly latencyMs: { readonly trained: number; readonly exported: number };
}

/** Photos that are decoding, or decoded and waiting for their turn. */
const AHEAD = 8;
/** Runs that latency is the median of: so many at a time of one model and of the other, so that both see the same machine. */
const ROUNDS = 5;
const RUNS_A_ROUND = 5;

interface Compared {
  /** Prepared, uint8 RGB [H, W, 3]. */
  readonly prepared: Uint8Array;
  /** As the exported model takes it. */
  readonly given: Picture;
}

/**
 * Runs both models on photos, one at a time, and tells after each how many there have been. `takesWhole`: whether the exported model
 * takes photos in their own size. Photos that cannot be read are passed over; those whose class is not known have label −1.
 * @throws UserError `no-photos` when none can be read.
 */
export async function* compareModels(
  trained: ImageClassifier,
  exported: ImageClassifier,
  photos: readonly Photo[],
  { takesWhole, source }: { readonly takesWhole: boolean; readonly source: string },
): AsyncGenerator<number, Omit<Parity, 'bytes'>> {
  const reader = new PhotoReader<Compared>(async (photo, preprocessing) => {
    const prepared = await decodePhoto(photo, preprocessing);
    const { width, height } = preprocessing;
    return { prepared, given: takesWhole ? await decodeWhole(photo) : { pixels: prepared, width, height } };
  });
  const inShares = trained.endsInSoftmax || exported.endsInSoftmax;
  const comparable = (scores: Float32Array) => (inShares ? logSoftmax(scores) : scores);
  let [count, agreeing, largestDifference, known, rightBefore, rightAfter] = [0, 0, 0, 0, 0, 0];
  let first: Compared | undefined;
  const reading = { concurrency: AHEAD, onSkipped: () => undefined };
  for await (const { photo, decoded } of reader.read(photos, trained.preprocessing, reading)) {
    first ??= decoded;
    const before = comparable(await trained.run(decoded.prepared, 1));
    const after = comparable(await exported.run(decoded.given.pixels, 1, decoded.given));
    const [was, is] = [predictionOf(before), predictionOf(after)];
    if (was === is) agreeing++;
    before.forEach((logit, index) => {
      const difference = Math.abs(logit - (after[index] ?? NaN));
      // What is no number compares with nothing.
      if (!(difference <= largestDifference)) largestDifference = Number.isNaN(difference) ? Infinity : difference;
    });
    if (photo.label >= 0) {
      known++;
      if (was === photo.label) rightBefore++;
      if (is === photo.label) rightAfter++;
    }
    yield ++count;
  }
  if (!first)
    throw new UserError(
      'no-photos',
      `none of ${photos.length} photos of ${source} that were to compare on can be read; mend or replace them`,
    );
  const times: { trained: number[]; exported: number[] } = { trained: [], exported: [] };
  for (let round = 0; round < ROUNDS; round++) {
    times.trained.push(...(await trained.time(first.prepared, RUNS_A_ROUND)));
    times.exported.push(...(await exported.time(first.given.pixels, RUNS_A_ROUND, first.given)));
  }
  return {
    photos: count,
    agreement: agreeing / count,
    largestDifference,
    ...(known > 0 ? { top1: { trained: rightBefore / known, exported: rightAfter / known } } : {}),
    latencyMs: { trained: median(times.trained), exported: median(times.exported) },
  };
}

function logSoftmax(scores: Float32Array): Float32Array {
  const largest = scores.reduce((most, score) => Math.max(most, score), -Infinity);
  const sum = scores.reduce((total, score) => total + Math.exp(score - largest), 0);
  return scores.map((score) => score - largest - Math.log(sum));
}
