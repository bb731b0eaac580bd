import { labelsOfPhoto } from '../data/labels.js';
import type { Photo } from '../data/photo.js';
import { csvLine, csvPath } from '../text.js';
import { softmax } from './classify.js';
import { labelsOver, sigmoid } from './labelMetrics.js';
import { predictionOf } from './metrics.js';

/**
 * `predictions.csv`: what `logits` [photos, classes] say of each photo, with the probability of the class that was given and that of the
 * photo's own. With `thresholds`, which photos of any number of labels have, labels stand with `|` between, and the probability of each that
 * was given.
 */
export function predictionsCsv(
  photos: readonly Photo[],
  logits: Float32Array,
  classes: readonly string[],
  thresholds?: readonly number[],
): string {
  const heading = thresholds
    ? ['path', 'labels', 'predicted', 'probabilities']
    : ['path', 'class', 'predicted', 'probability', 'class_probability'];
  const named = (labels: readonly number[]) => labels.map((label) => classes[label] ?? '').join('|');
  const lines = photos.map((photo, index) => {
    const row = logits.subarray(index * classes.length, (index + 1) * classes.length);
    const path = csvPath(photo.path);
    if (thresholds) {
      const given = labelsOver(row, thresholds);
      const shares = given.map((label) => sigmoid(row[label] ?? NaN).toFixed(6)).join('|');
      return csvLine([path, named(labelsOfPhoto(photo)), named(given), shares]);
    }
    const shares = softmax(row);
    const predicted = predictionOf(row);
    const shareOf = (label: number) => (shares[label] ?? NaN).toFixed(6);
    return csvLine([path, named([photo.label]), named([predicted]), shareOf(predicted), shareOf(photo.label)]);
  });
  return [heading.join(','), ...lines].map((line) => `${line}\n`).join('');
}
