import type { ChartSpec } from '../../figures/chart.js';
import { meanOf } from '../statistics.js';
import type { SuiteRow } from '../suite.js';
import { type Cell, type Quantity, valuesOf } from '../suiteResults.js';
import { type Figure, HEIGHT, seriesChannels, WIDTH, withUnit } from './figure.js';

type CurveField = 'top1' | 'map' | 'valLoss' | 'trainLoss';
const CURVES: readonly { field: CurveField; name: string; title: string; axis: string; format: string }[] = [
  { field: 'top1', name: 'accuracy', title: 'Accuracy by epoch', axis: 'validation top-1', format: '.0%' },
  { field: 'map', name: 'accuracy', title: 'mAP by epoch', axis: 'validation mAP', format: '.0%' },
  { field: 'valLoss', name: 'loss', title: 'Loss by epoch', axis: 'validation loss', format: '~g' },
  { field: 'trainLoss', name: 'training-loss', title: 'Training loss by epoch', axis: 'training loss', format: '~g' },
];

/** Accuracy and losses by epoch for each policy of a row: the mean over seeds, and from the least to the most. */
export function curveFigures(row: SuiteRow, cells: readonly Cell[]): Figure[] {
  return CURVES.flatMap(({ field, name, title, axis, format }) => {
    const values = cells.flatMap((cell) => {
      const last = Math.min(...cell.finished.map(({ result }) => result.curve.length));
      return Array.from({ length: Number.isFinite(last) ? last : 0 }, (_, index) => {
        const all = cell.finished.flatMap(({ result }) => result.curve[index]?.[field] ?? []);
        // Runs of classes have no mAP, and those of labels no top-1.
        if (all.length === 0) return [];
        return {
          series: cell.policy,
          epoch: index + 1,
          mean: meanOf(all),
          low: Math.min(...all),
          high: Math.max(...all),
        };
      }).flat();
    });
    if (values.length === 0) return [];
    const { color, strokeDash, shape } = seriesChannels(row.policies);
    const epochs = Math.max(...values.map(({ epoch }) => epoch));
    const x = {
      field: 'epoch',
      type: 'quantitative',
      title: 'epoch',
      axis: { tickMinStep: 1, format: 'd' },
      scale: { nice: false, domain: epochs > 1 ? [1, epochs] : [0, 2] },
    };
    const y = (of: string) => ({
      field: of,
      type: 'quantitative',
      title: axis,
      axis: { format, tickCount: 6 },
      scale: { zero: false },
    });
    const ends = cells.flatMap((cell) => {
      const end = values.findLast(({ series }) => series === cell.policy);
      return end
        ? [
            `${cell.policy} ${field === 'top1' || field === 'map' ? `${(100 * end.mean).toFixed(1)} %` : end.mean.toFixed(3)}`,
          ]
        : [];
    });
    const spec = {
      data: { values },
      width: WIDTH,
      height: HEIGHT,
      layer: [
        {
          mark: { type: 'area', opacity: 0.16, line: false },
          encoding: { x, y: y('low'), y2: { field: 'high' }, color },
        },
        { mark: { type: 'line', strokeWidth: 2 }, encoding: { x, y: y('mean'), color, strokeDash } },
        {
          mark: { type: 'point', filled: true, size: 36, opacity: epochs <= 30 ? 1 : 0 },
          encoding: { x, y: y('mean'), color, shape },
        },
      ],
    } as ChartSpec;
    const label = `${title}, ${row.title}. At the last epoch: ${ends.join(', ')}.`;
    return [{ name: `${row.name}-${name}`, title, label, spec }];
  });
}

/** What each policy of a row costs: bars, with lines from the least to the most over seeds. */
export function costFigure(
  row: SuiteRow,
  cells: readonly Cell[],
  quantity: Quantity,
  { title, estimated, suffix }: { readonly title: string; readonly estimated: boolean; readonly suffix: string },
): Figure | undefined {
  const values = cells.flatMap((cell) => {
    const all = valuesOf(cell, quantity);
    if (all.length === 0) return [];
    return [
      { series: cell.policy, cache: cell.cache, mean: meanOf(all), low: Math.min(...all), high: Math.max(...all) },
    ];
  });
  if (values.length === 0) return undefined;
  const caches = [...new Set(values.map(({ cache }) => cache))];
  const x = { field: 'series', type: 'nominal', sort: null, title: null, axis: { labelAngle: 0 } };
  const xOffset = caches.length > 1 ? { xOffset: { field: 'cache', sort: caches } } : {};
  const { color } = seriesChannels(row.policies);
  const y = { field: 'mean', type: 'quantitative', title: withUnit(quantity, estimated) };
  const opacity =
    caches.length > 1
      ? {
          fillOpacity: {
            field: 'cache',
            type: 'ordinal',
            sort: caches,
            scale: { domain: caches, range: [0.9, 0.3] },
            legend: null,
          },
        }
      : {};
  const spec = {
    data: { values },
    width: WIDTH,
    height: HEIGHT,
    layer: [
      {
        mark: { type: 'bar', strokeWidth: 1.5, cornerRadiusEnd: 2 },
        encoding: {
          ...{ x, ...xOffset, y, ...opacity },
          color: { ...color, legend: null },
          stroke: { ...color, legend: null },
        },
      },
      {
        mark: { type: 'rule', strokeWidth: 1.5, color: 'currentColor' },
        encoding: { x, ...xOffset, y: { ...y, field: 'low' }, y2: { field: 'high' } },
      },
      {
        mark: { type: 'text', dy: -6, fontSize: 10, color: 'currentColor' },
        encoding: {
          ...{ x, ...xOffset, y: { ...y, field: 'high' } },
          text: { field: 'mean', type: 'quantitative', format: '.3~s' },
        },
      },
    ],
  } as ChartSpec;
  const label = `${title}, ${row.title}: ${values
    .map(
      (each) =>
        `${each.series}${caches.length > 1 ? ` (${each.cache})` : ''} ${each.mean.toPrecision(3)} ${quantity.unit}`,
    )
    .join(', ')}.`;
  return { name: `${row.name}-cost${suffix}`, title, label, spec };
}

export interface Growth {
  /** Name of the chart's files, without their ending. */
  readonly name: string;
  readonly axis: string;
  readonly points: readonly { readonly at: number; readonly policy: string; readonly value: number }[];
  readonly policies: readonly string[];
  readonly quantity: Quantity;
  /** What all points have in common besides; may be empty. */
  readonly where: string;
}

/** How a cost grows along an axis: lines for policies, one chart for each of what else differs. */
export function growthFigure({ name, axis, points, policies, quantity, where }: Growth): Figure {
  const { color, strokeDash, shape } = seriesChannels(policies);
  const values = points.map(({ at, policy, value }) => ({ series: policy, at, value }));
  const ats = [...new Set(values.map(({ at }) => at))].sort((a, b) => a - b);
  const x = {
    field: 'at',
    type: 'quantitative',
    title: `${axis} (logarithmic)`,
    scale: { type: 'log', nice: false, padding: 12 },
    axis: { values: ats, format: 'd' },
  };
  const y = { field: 'value', type: 'quantitative', title: withUnit(quantity), scale: { zero: true } };
  const title = `${quantity.title.replace(/^[a-z]/, (letter) => letter.toUpperCase())}${quantity.key === 'cpuSeconds' ? ' seconds' : ''}`;
  const spec = {
    data: { values },
    width: WIDTH,
    height: HEIGHT,
    layer: [
      { mark: { type: 'line', strokeWidth: 2 }, encoding: { x, y, color, strokeDash } },
      { mark: { type: 'point', filled: true, size: 50, opacity: 1 }, encoding: { x, y, color, shape } },
    ],
  } as ChartSpec;
  const label = `${title}${where === '' ? '' : `, ${where}`}: ${policies
    .map((policy) => {
      const own = points.filter((each) => each.policy === policy).toSorted((a, b) => a.at - b.at);
      return `${policy} ${own.map(({ at, value }) => `${value.toPrecision(3)} ${quantity.unit} at ${at}`).join(', ')}`;
    })
    .join('; ')}.`;
  return { name, title: where === '' ? title : `${title}, ${where}`, label, spec };
}
