import type { Random } from '../random.js';
import type { Dataset } from './dataset.js';
import type { Photo } from './photo.js';

/**
 * Weight of each class in the loss such that all count alike: photos / (classes · photos of the class), as scikit-learn's
 * `balanced`; 1 on average over the photos. A class without photos weighs 0.
 */
export function balancedClassWeights(photos: readonly Photo[], classes: number): Float32Array {
  const counts = new Float32Array(classes);
  for (const { label } of photos) counts[label] = (counts[label] ?? 0) + 1;
  const present = counts.filter((count) => count > 0).length;
  return counts.map((count) => (count > 0 ? photos.length / (present * count) : 0));
}

/**
 * `count` places in `labels`, drawn with replacement such that every class that occurs is as likely as any other, and within a class
 * every photo.
 */
export function balancedOrder(labels: readonly number[], count: number, random: Random): number[] {
  const byClass = new Map<number, number[]>();
  labels.forEach((label, index) => {
    const others = byClass.get(label);
    if (others) others.push(index);
    else byClass.set(label, [index]);
  });
  const classes = [...byClass.values()];
  if (classes.length === 0) return [];
  return Array.from({ length: count }, () => {
    const members = classes[random.integer(classes.length)] ?? [];
    return members[random.integer(members.length)] ?? 0;
  });
}

/** The largest and the smallest class by their photos to train with, where one has several times as many as the other. */
export interface Imbalance {
  readonly largest: { readonly name: string; readonly photos: number };
  readonly smallest: { readonly name: string; readonly photos: number };
  /** How many times as many photos the largest has. */
  readonly ratio: number;
}

/** From so many times as many photos on, a training that goes by the loss of all of them neglects the smallest class. */
const NOTABLE_RATIO = 3;

/** How unlike in size the classes are that train; undefined where that does not matter. */
export function imbalanceOf({ classes, train }: Pick<Dataset, 'classes' | 'train'>): Imbalance | undefined {
  const counts = classes.map(() => 0);
  for (const { label } of train) counts[label] = (counts[label] ?? 0) + 1;
  const sizes = classes.map((name, label) => ({ name, photos: counts[label] ?? 0 })).filter(({ photos }) => photos > 0);
  const [first] = sizes;
  if (!first) return undefined;
  const largest = sizes.reduce((most, each) => (each.photos > most.photos ? each : most), first);
  const smallest = sizes.reduce((least, each) => (each.photos < least.photos ? each : least), first);
  const ratio = largest.photos / smallest.photos;
  return ratio >= NOTABLE_RATIO ? { largest, smallest, ratio } : undefined;
}

/** A line about the imbalance, with the setting that helps. */
export function imbalanceLine({ largest, smallest, ratio }: Imbalance): string {
  const times = ratio.toLocaleString('en-US', { maximumFractionDigits: ratio < 10 ? 1 : 0 });
  return `class "${largest.name}" has ${times} times as many photos to train with as "${smallest.name}" (${largest.photos} and ${smallest.photos}); ‹classWeights› balanced lets all classes count alike`;
}
