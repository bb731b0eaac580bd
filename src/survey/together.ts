import { labelCounts, labelsOfPhoto } from '../data/labels.js';
import type { Photo } from '../data/photo.js';

/** How labels come together. */
export interface Together {
  /** Number of labels → photos that have so many. */
  readonly photosByLabels: Readonly<Record<number, number>>;
  /** Labels that hardly come apart, or never come together though chance alone would bring them together often: what of it is most notable. */
  readonly pairs: readonly Pair[];
}

export interface Pair {
  /** The rarer one first. */
  readonly labels: readonly [string, string];
  /** Photos with both. */
  readonly photos: number;
  /** Photos that would have both by chance. */
  readonly byChance: number;
  /** Share of the rarer label's photos that have the other too. */
  readonly share: number;
}

/** Of fewer photos than these, chance makes what it likes. */
const FEWEST = 5;
/** Labels of which one comes with the other in so many photos are hard to tell apart. */
const HARDLY_APART = 0.9;
const MOST_PAIRS = 10;

/** How the labels of photos come together. */
export function togetherIn(classes: readonly string[], photos: readonly Photo[]): Together {
  const photosByLabels: Record<number, number> = {};
  const both = new Map<string, number>();
  for (const photo of photos) {
    const labels = labelsOfPhoto(photo);
    photosByLabels[labels.length] = (photosByLabels[labels.length] ?? 0) + 1;
    for (const [at, a] of labels.entries())
      for (const b of labels.slice(at + 1)) both.set(`${a} ${b}`, (both.get(`${a} ${b}`) ?? 0) + 1);
  }
  const counts = labelCounts(photos, classes.length);
  const pairs: (Pair & { readonly surprise: number })[] = [];
  for (let a = 0; a < classes.length; a++)
    for (let b = a + 1; b < classes.length; b++) {
      const [ofA, ofB] = [counts[a] ?? 0, counts[b] ?? 0];
      const fewer = Math.min(ofA, ofB);
      const together = both.get(`${a} ${b}`) ?? 0;
      const byChance = (ofA * ofB) / Math.max(1, photos.length);
      const share = fewer === 0 ? 0 : together / fewer;
      // A label that nearly every photo has comes with all others.
      const isBound = together >= FEWEST && share >= HARDLY_APART && together > 1.5 * byChance;
      const isApart = together === 0 && byChance >= FEWEST;
      if (!isBound && !isApart) continue;
      const [rarer, other] = ofA <= ofB ? [a, b] : [b, a];
      pairs.push({
        labels: [classes[rarer] ?? '', classes[other] ?? ''],
        photos: together,
        byChance,
        share,
        surprise: Math.abs(together - byChance),
      });
    }
  const notable = pairs.sort((x, y) => y.surprise - x.surprise).slice(0, MOST_PAIRS);
  return { photosByLabels, pairs: notable.map(({ surprise: _, ...pair }) => pair) };
}

/** A pair in one line. */
export function pairLine({ labels: [rarer, other], photos, byChance, share }: Pair): string {
  return photos === 0
    ? `"${rarer}" and "${other}" never come together, where chance would give ${Math.round(byChance)} photos`
    : `"${rarer}" comes with "${other}" in ${Math.round(100 * share)} % of its photos (${photos}), so that little tells them apart`;
}
