import type { Task } from '../artifacts/task.js';
import type { SummedMetrics } from './events.js';
import type { LabelMetrics } from './labelMetrics.js';
import { type MetricName, type Metrics, metricNames } from './metrics.js';

/** What the weights are worth on photos: of one class each, or of any number of labels. */
export type AnyMetrics = Metrics | LabelMetrics;

/** The one metric by which a training is told and judged unless another one is chosen. */
export interface Headline {
  readonly metric: 'top1' | 'map';
  /** What tables and lines call it. */
  readonly title: 'top-1' | 'mAP';
}

const HEADLINES: Readonly<Record<Task, Headline>> = {
  classes: { metric: 'top1', title: 'top-1' },
  labels: { metric: 'map', title: 'mAP' },
};

/** By what a task is judged. */
export const headlineOf = (task: Task): Headline => HEADLINES[task];

/** What has either of the two: an epoch, a run's summary. */
interface Judged {
  readonly top1?: number | undefined;
  readonly map?: number | undefined;
}

/** The value that it is judged by. */
export const scoreOf = ({ top1, map }: Judged): number => top1 ?? map ?? NaN;

/** What it is judged by. */
export const headlineIn = ({ top1 }: Judged): Headline => HEADLINES[top1 === undefined ? 'labels' : 'classes'];

const OF_LABELS: readonly MetricName[] = ['map', 'macroF1', 'microF1', 'loss'];
const OF_CLASSES = metricNames.filter((name) => name !== 'map' && name !== 'microF1');

/** The metrics by which the best epoch of a task can be chosen. */
export const metricsOfTask = (task: Task): readonly MetricName[] => (task === 'labels' ? OF_LABELS : OF_CLASSES);

/** Metrics without what they tell of each class or label. */
export function summed(metrics: AnyMetrics): SummedMetrics {
  if ('map' in metrics) {
    const { classes: _, ...others } = metrics;
    return others;
  }
  const { classes: _, confusion: __, ...others } = metrics;
  return others;
}

/** From which probability on a photo has each label, where it has any number of them. */
export const thresholdsOf = (metrics: AnyMetrics): readonly number[] | undefined =>
  'map' in metrics ? metrics.classes.map(({ threshold }) => threshold) : undefined;

/** A metric by its name; not a number where there is none of that name. */
export function metricCalled(metrics: Readonly<Partial<Record<MetricName, number>>>, name: MetricName): number {
  return metrics[name] ?? NaN;
}
