import type { Dataset } from '../data/dataset.js';
import { labelIndex, targetRows } from '../data/labels.js';
import type { Photo } from '../data/photo.js';
import { SkippedPhotos } from '../data/skippedPhotos.js';
import { UserError } from '../errors.js';
import { allFinite, notFinite } from '../finite.js';
import type { ImageClassifier } from '../runtime/classifier.js';
import { classifyPhotos } from './classify.js';
import { type LabelMetrics, labelMetricsOf } from './labelMetrics.js';
import { type Metrics, metricsOf } from './metrics.js';

export interface EvaluateOptions {
  /** Which of the photos; default `val`. Those to test with are those that validate where a data set names no others for that. */
  readonly split?: 'val' | 'train' | 'test' | 'all';
  /** Share of unreadable photos that is too many; default 0.05. */
  readonly maxBad?: number;
}

export type EvaluateEvent =
  | { readonly type: 'skipped'; readonly path: string; readonly reason: string }
  /** After each photo. */
  | { readonly type: 'progress'; readonly done: number; readonly total: number };

interface Evaluated {
  /** How many were read. */
  readonly photos: number;
  readonly skipped: SkippedPhotos['list'];
  /** In the order of `classes` and `confusion`. */
  readonly labels: readonly string[];
}

/** What a model of classes is worth, or one of any number of labels. */
export type Evaluation =
  (Evaluated & Metrics & { readonly task: 'classes' }) | (Evaluated & LabelMetrics & { readonly task: 'labels' });

/**
 * Measures an exported model on photos whose classes are known, as a program that deploys it would run it; tells of each photo.
 * @throws UserError `bad-arguments` for photos of classes and a model of labels, or the reverse, `unknown-class` for a class that the model does not know, `no-photos`, `too-many-unreadable`, `not-finite` where
 * the model gives no numbers.
 */
export async function* evaluate(
  classifier: ImageClassifier,
  dataset: Dataset,
  { split = 'val', maxBad = 0.05 }: EvaluateOptions = {},
): AsyncGenerator<EvaluateEvent, Evaluation> {
  const { labels, task } = classifier;
  if ((dataset.task ?? 'classes') !== task)
    throw new UserError(
      'bad-arguments',
      task === 'labels'
        ? `the model gives any number of labels, and the photos of ${dataset.folder} have one class each; say that this is one label (‹task› labels)`
        : `the model gives one class, and the photos of ${dataset.folder} have any number of labels each; name photos of one class`,
    );
  const alien = dataset.classes.find((name) => labelIndex(labels, name) < 0);
  if (alien !== undefined)
    throw new UserError(
      'unknown-class',
      `the model knows no ${task === 'labels' ? 'label' : 'class'} "${alien}" of ${dataset.folder}; it knows ${labels.join(', ')}`,
    );
  const { train, val, test = [], validatesWithTest = false } = dataset;
  const chosen = { train, val, test: validatesWithTest ? val : test, all: [...train, ...val, ...test] }[split];
  if (chosen.length === 0) {
    const others = train.length + val.length + test.length;
    throw new UserError(
      'no-photos',
      `${dataset.folder} has no photos for ‹split› ${split}, of ${others} in all; measure others of them (‹split› all)`,
    );
  }
  const indices = dataset.classes.map((name) => labelIndex(labels, name));
  const photos = chosen.map((photo) => asKnown(photo, indices));
  const skipped = new SkippedPhotos();
  const rows: Float32Array[] = [];
  const truths: Photo[] = [];
  for await (const each of classifyPhotos(classifier, photos)) {
    const { photo, index } = each;
    if ('error' in each) {
      const reason = each.error.message;
      skipped.add(photo, reason);
      skipped.check(photos.length, maxBad);
      yield { type: 'skipped', path: photo.path, reason };
      continue;
    }
    if (!allFinite(each.scores)) throw notFinite(`the model gives no numbers for ${photo.path}`);
    rows.push(each.scores);
    truths.push(photo);
    yield { type: 'progress', done: index + 1, total: photos.length };
  }
  const logits = new Float32Array(rows.length * labels.length);
  rows.forEach((row, index) => {
    logits.set(row, index * labels.length);
  });
  const about = { photos: truths.length, skipped: skipped.list, labels };
  if (task === 'labels') {
    const targets = targetRows(truths, labels.length);
    return { task, ...about, ...labelMetricsOf(logits, targets, labels.length, classifier.thresholds) };
  }
  const classes = truths.map(({ label }) => label);
  return { task, ...about, ...metricsOf(logits, classes, labels.length) };
}

/** A photo whose classes are those of a model; `indices` are their places there. */
export function asKnown(photo: Photo, indices: readonly number[]): Photo {
  if (!photo.labels) return { ...photo, label: indices[photo.label] ?? -1 };
  return { ...photo, labels: photo.labels.map((label) => indices[label] ?? -1).sort((a, b) => a - b) };
}
