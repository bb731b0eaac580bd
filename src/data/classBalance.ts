import type { Task } from '../artifacts/task.js';
import type { Random } from '../random.js';
import type { Dataset } from './dataset.js';
import { labelCounts } from './labels.js';
import type { Photo } from './photo.js';

/** Stands for those that have none. */
const NO_LABEL = -1;

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
 * What a photo that has a label counts for that label, beside one that has it not, such that both kinds count alike: photos without it / photos
 * with it, as PyTorch's `pos_weight`. A label that no photo has, or every one, weighs 1.
 */
export function balancedLabelWeights(photos: readonly Photo[], classes: number): Float32Array {
  return Float32Array.from(labelCounts(photos, classes), (count) =>
    count > 0 && count < photos.length ? (photos.length - count) / count : 1,
  );
}

/**
 * `count` places in `labels`, drawn with replacement such that every class that occurs is as likely as any other, and within a class
 * every photo; photos without labels are a class of their own.
 */
export function balancedOrder(labels: readonly (readonly number[])[], count: number, random: Random): number[] {
  const byClass = new Map<number, number[]>();
  labels.forEach((own, index) => {
    for (const label of own.length > 0 ? own : [NO_LABEL]) {
      const others = byClass.get(label);
      if (others) others.push(index);
      else byClass.set(label, [index]);
    }
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
  /** Whether these are classes, or labels of which a photo may have any number. */
  readonly task: Task;
  readonly largest: { readonly name: string; readonly photos: number };
  readonly smallest: { readonly name: string; readonly photos: number };
  /** How many times as many photos the largest has. */
  readonly ratio: number;
}

/** From so many times as many photos on, a training that goes by the loss of all of them neglects the smallest class. */
const NOTABLE_RATIO = 3;

/** How unlike in size the classes are that train; undefined where that does not matter. */
export function imbalanceOf({
  task = 'classes',
  classes,
  train,
}: Pick<Dataset, 'task' | 'classes' | 'train'>): Imbalance | undefined {
  const counts = labelCounts(train, classes.length);
  const sizes = classes.map((name, label) => ({ name, photos: counts[label] ?? 0 })).filter(({ photos }) => photos > 0);
  const [first] = sizes;
  if (!first) return undefined;
  const largest = sizes.reduce((most, each) => (each.photos > most.photos ? each : most), first);
  const smallest = sizes.reduce((least, each) => (each.photos < least.photos ? each : least), first);
  const ratio = largest.photos / smallest.photos;
  return ratio >= NOTABLE_RATIO ? { task, largest, smallest, ratio } : undefined;
}

/** A line about the imbalance, with the setting that helps. */
export function imbalanceLine({ task, largest, smallest, ratio }: Imbalance): string {
  const times = ratio.toLocaleString('en-US', { maximumFractionDigits: ratio < 10 ? 1 : 0 });
  const told = `"${largest.name}" has ${times} times as many photos to train with as "${smallest.name}" (${largest.photos} and ${smallest.photos}); ‹classWeights› balanced lets`;
  return task === 'labels'
    ? `label ${told} photos with a label count as much as those without it`
    : `class ${told} all classes count alike`;
}
