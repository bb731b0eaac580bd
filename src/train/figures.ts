import { type ChartSpec, drawChart } from '../figures/chart.js';
import type { EpochResult } from './events.js';
import { headlineIn } from './headline.js';

/** Loss and top-1 by epoch, of training and validation, as SVG; of labels loss and their mean average precision. */
export function drawCurves(results: readonly EpochResult[]): Promise<string> {
  const [first] = results;
  const { metric, title } = headlineIn(first ?? { top1: 0 });
  const values = results.flatMap(({ epoch, trainLoss, valLoss, trainTop1, top1, map }) => [
    { epoch, photos: 'training', loss: trainLoss, top1: trainTop1 },
    { epoch, photos: 'validation', loss: valLoss, top1, map },
  ]);
  const curve = (field: 'loss' | 'top1' | 'map', axisTitle: string, format?: string): object => ({
    width: 360,
    height: 240,
    mark: { type: 'line', point: results.length <= 50 },
    encoding: {
      x: { field: 'epoch', type: 'quantitative', axis: { tickMinStep: 1, format: 'd' }, scale: { nice: false } },
      y: { field, type: 'quantitative', title: axisTitle, scale: { zero: false }, axis: format ? { format } : {} },
      color: { field: 'photos', title: null },
      strokeDash: { field: 'photos', title: null },
    },
  });
  const spec = { data: { values }, hconcat: [curve('loss', 'loss'), curve(metric, title, '.0%')] } as ChartSpec;
  return drawChart(spec);
}

/** Beyond so many classes the counts in a confusion matrix would not be readable. */
const MOST_WITH_COUNTS = 30;

/** Which class (row) was taken for which (column), as SVG: shaded by the share of the row, with counts where they fit. */
export function drawConfusion(confusion: readonly (readonly number[])[], labels: readonly string[]): Promise<string> {
  const values = confusion.flatMap((row, index) => {
    const photos = row.reduce((sum, count) => sum + count, 0);
    return row.map((count, column) => ({
      actual: labels[index] ?? String(index),
      given: labels[column] ?? String(column),
      count,
      share: photos === 0 ? 0 : count / photos,
    }));
  });
  const cell = labels.length <= MOST_WITH_COUNTS ? 36 : Math.max(4, Math.round(1080 / labels.length));
  const axis = (title: string) => ({ title, labelLimit: 160, labels: cell >= 10 });
  const encoding = {
    x: { field: 'given', type: 'nominal', sort: null, axis: { ...axis('given'), labelAngle: -45 } },
    y: { field: 'actual', type: 'nominal', sort: null, axis: axis('actual') },
  };
  const cells = {
    mark: { type: 'rect', stroke: '#88888844' },
    encoding: {
      ...encoding,
      color: {
        field: 'share',
        type: 'quantitative',
        scale: { domain: [0, 1], range: ['#ffffff', '#08519c'], interpolate: 'rgb' },
        legend: { title: 'share of the class', format: '.0%' },
      },
    },
  };
  const counts = {
    transform: [{ filter: 'datum.count > 0' }],
    mark: { type: 'text', fontSize: 11 },
    encoding: {
      ...encoding,
      text: { field: 'count' },
      color: { condition: { test: 'datum.share > 0.5', value: '#ffffff' }, value: '#222222' },
    },
  };
  const spec = {
    data: { values },
    width: { step: cell },
    height: { step: cell },
    layer: cell === 36 ? [cells, counts] : [cells],
  } as ChartSpec;
  return drawChart(spec);
}
