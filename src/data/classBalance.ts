import type { Random } from '../random.js';
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
