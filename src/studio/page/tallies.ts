import type { Prediction, Predictions } from '../api.js';

/** What predictions come to: how often each class was taken for which, and how sure. */
export interface Tally {
  /** counts[label][predicted] */
  readonly counts: readonly (readonly number[])[];
  readonly right: number;
  readonly photos: number;
  /** In the order of the classes; absent where no photo has the class, or none was taken for it. */
  readonly classes: readonly {
    readonly name: string;
    readonly photos: number;
    readonly precision?: number;
    readonly recall?: number;
  }[];
}

export function tallyOf({ classes, photos }: Predictions): Tally {
  const counts = classes.map(() => new Array<number>(classes.length).fill(0));
  let right = 0;
  for (const { label, predicted } of photos) {
    const row = counts[label];
    if (row?.[predicted] !== undefined) row[predicted]++;
    if (label === predicted) right++;
  }
  const takenFor = classes.map((_, predicted) => counts.reduce((sum, row) => sum + (row[predicted] ?? 0), 0));
  const rows = classes.map((name, index) => {
    const [hits, found] = [counts[index]?.[index] ?? 0, takenFor[index] ?? 0];
    const there = counts[index]?.reduce((sum, count) => sum + count, 0) ?? 0;
    return {
      ...{ name, photos: there },
      ...(found > 0 && { precision: hits / found }),
      ...(there > 0 && { recall: hits / there }),
    };
  });
  return { counts, right, photos: photos.length, classes: rows };
}

/** Places of the classes that a table of this size shows: all, or those with the most mistakes. */
export function shownClasses({ counts }: Tally, most: number): readonly number[] {
  const places = counts.map((_, place) => place);
  if (places.length <= most) return places;
  const mistakes = places.map((place) =>
    counts.reduce((sum, row, label) => {
      const own = label === place ? row.reduce((all, count) => all + count, 0) - (row[place] ?? 0) : (row[place] ?? 0);
      return sum + own;
    }, 0),
  );
  return places
    .sort((a, b) => (mistakes[b] ?? 0) - (mistakes[a] ?? 0))
    .slice(0, most)
    .sort((a, b) => a - b);
}

const isRight = ({ label, predicted }: Prediction) => label === predicted;

/** The largest threshold, in whole percents, that keeps this share of the photos that were classified rightly; 0 where there are none. */
export function suggestedThreshold(photos: readonly Prediction[], kept = 0.95): number {
  const sure = photos
    .filter(isRight)
    .map(({ probability }) => probability)
    .sort((a, b) => b - a);
  const least = sure[Math.ceil(kept * sure.length) - 1] ?? 0;
  return Math.floor(100 * least) / 100;
}

/** What a threshold keeps of what was right, and turns away of what was wrong. */
export function effectOf(photos: readonly Prediction[], threshold: number) {
  let [right, kept, wrong, turnedAway] = [0, 0, 0, 0];
  for (const photo of photos) {
    const isKept = photo.probability >= threshold;
    if (isRight(photo)) {
      right++;
      if (isKept) kept++;
    } else {
      wrong++;
      if (!isKept) turnedAway++;
    }
  }
  return { right, kept, wrong, turnedAway };
}
