import { Random } from '../random.js';
import { averagePrecision, byScore } from './averagePrecision.js';

/** Draws of photos that the interval is of, at most; of many photos and labels fewer, so that it takes about a second. */
const MOST_RESAMPLES = 1000;
const LEAST_RESAMPLES = 100;
const MOST_COMPARISONS = 1e8;

/** What one way to score photos of any number of labels is worth, however often each of them counts. */
export class LabelRanking {
  /** How many there are. */
  readonly photos: number;
  private readonly labels: {
    readonly scores: Float32Array;
    readonly has: (photo: number) => boolean;
    readonly order: Int32Array;
  }[];

  /** @param logits [photos, labels], and @param targets of the same shape, 1 for each label of a photo. */
  constructor(logits: Float32Array, targets: Float32Array, labels: number) {
    const photos = labels === 0 ? 0 : logits.length / labels;
    this.photos = photos;
    this.labels = Array.from({ length: labels }, (_, label) => {
      const scores = Float32Array.from({ length: photos }, (_, photo) => logits[photo * labels + label] ?? NaN);
      const has = (photo: number) => (targets[photo * labels + label] ?? 0) > 0.5;
      return { scores, has, order: byScore(scores) };
    });
  }

  /** The mean average precision of the labels that a photo has which counts, 0 where none has any. */
  map(counts?: ArrayLike<number>): number {
    const known = this.labels.flatMap(({ scores, has, order }) => averagePrecision(scores, has, order, counts) ?? []);
    return known.length === 0 ? 0 : known.reduce((sum, each) => sum + each, 0) / known.length;
  }
}

/** The middle 95 % of the mean average precision over photos that are drawn again, as many with replacement (Efron 1979), by `seed`. */
export function mapInterval(
  logits: Float32Array,
  targets: Float32Array,
  labels: number,
  seed: number,
): readonly [number, number] {
  const ranking = new LabelRanking(logits, targets, labels);
  const photos = labels === 0 ? 0 : logits.length / labels;
  const resamples = Math.min(
    MOST_RESAMPLES,
    Math.max(LEAST_RESAMPLES, Math.floor(MOST_COMPARISONS / Math.max(1, logits.length))),
  );
  const random = new Random(seed).fork('map interval');
  const values = Float64Array.from({ length: resamples }, () => {
    const counts = new Uint16Array(photos);
    for (let draw = 0; draw < photos; draw++) {
      const photo = random.integer(photos);
      counts[photo] = (counts[photo] ?? 0) + 1;
    }
    return ranking.map(counts);
  }).sort();
  const at = (share: number) => values[Math.round(share * (values.length - 1))] ?? NaN;
  return [at(0.025), at(0.975)];
}
