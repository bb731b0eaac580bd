import type { Photo } from './photo.js';

/** The place of a class among a model's labels, whichever form of Unicode both have (macOS parts é into e and an accent); −1 for none. */
export function labelIndex(labels: readonly string[], name: string): number {
  const exact = labels.indexOf(name);
  if (exact >= 0) return exact;
  const composed = name.normalize('NFC');
  return labels.findIndex((label) => label.normalize('NFC') === composed);
}

/** The classes of a photo: one, or all of its labels. */
export const labelsOfPhoto = ({ label, labels }: Photo): readonly number[] => labels ?? [label];

/** What tells photos of other labels apart. */
export const labelKey = (photo: Photo): string => labelsOfPhoto(photo).join();

/** How many of the photos each of so many classes has. */
export function labelCounts(photos: readonly Photo[], classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const photo of photos) for (const label of labelsOfPhoto(photo)) counts[label] = (counts[label] ?? 0) + 1;
  return counts;
}

/** Rows [photos, classes] of what is to be learned of each: 1 for each of its labels. */
export function targetRows(photos: readonly Photo[], classes: number): Float32Array {
  const targets = new Float32Array(photos.length * classes);
  photos.forEach((photo, row) => {
    for (const label of labelsOfPhoto(photo)) targets[row * classes + label] = 1;
  });
  return targets;
}
