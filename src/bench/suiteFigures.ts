import { type ChartSpec, PALETTE } from '../figures/chart.js';
import { kneeOf, paretoFront } from './pareto.js';
import { meanOf } from './statistics.js';
import type { CacheState, SuiteRow } from './suite.js';
import { type Cell, type Quantity, valuesOf } from './suiteResults.js';

/** A chart, and what it is called. */
export interface Figure {
  /** Name of its files, without their ending. */
  readonly name: string;
  readonly title: string;
  /** For who cannot see it. */
  readonly label: string;
  readonly spec: ChartSpec;
}

const WIDTH = 300;
const HEIGHT = 210;
const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3], [1, 3], [10, 4], [4, 1]];
const SHAPES = ['circle', 'square', 'triangle-up', 'diamond', 'cross', 'triangle-down', 'triangle-right'];

const cycled = <T>(all: readonly T[], count: number): T[] =>
  Array.from({ length: count }, (_, index) => all[index % all.length]).flatMap((each) => each ?? []);

const legendOf = (names: readonly string[]) => ({
  title: null,
  orient: 'bottom',
  columns: names.some(({ length }) => length > 5) ? 2 : 5,
  symbolStrokeWidth: 2,
  symbolSize: 70,
  symbolOpacity: 1,
  labelLimit: 130,
});

/** How series are told apart: by colour, and by dash or shape too. */
function told(names: readonly string[]) {
  const domain = [...names];
  const field = 'series';
  const legend = legendOf(names);
  return {
    color: { field, type: 'nominal', scale: { domain, range: cycled(PALETTE, domain.length) }, legend },
    strokeDash: {
      field,
      type: 'nominal',
      scale: { domain, range: domain.map((_, index) => DASHES[index % DASHES.length]) },
      legend,
    },
    shape: { field, type: 'nominal', scale: { domain, range: cycled(SHAPES, domain.length) }, legend },
  };
}

type CurveField = 'top1' | 'valLoss' | 'trainLoss';
const CURVES: readonly { field: CurveField; name: string; title: string; axis: string; format: string }[] = [
  { field: 'top1', name: 'accuracy', title: 'Accuracy by epoch', axis: 'validation top-1', format: '.0%' },
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
        return {
          series: cell.policy,
          epoch: index + 1,
          mean: meanOf(all),
          low: Math.min(...all),
          high: Math.max(...all),
        };
      });
    });
    if (values.length === 0) return [];
    const { color, strokeDash, shape } = told(row.policies);
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
        ? [`${cell.policy} ${field === 'top1' ? `${(100 * end.mean).toFixed(1)} %` : end.mean.toFixed(3)}`]
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

const meanOfCell = (cell: Cell, quantity: Quantity): number | undefined => {
  const values = valuesOf(cell, quantity);
  return values.length > 0 ? meanOf(values) : undefined;
};

const withUnit = ({ title, unit }: Quantity, estimated = false) =>
  `${title}${estimated ? ', estimated' : ''}${unit === '' ? '' : `, ${unit}`}`;

/** What each policy of a row costs: bars, with lines from the least to the most over seeds. */
export function costFigure(
  row: SuiteRow,
  cells: readonly Cell[],
  quantity: Quantity,
  title: string,
  estimated: boolean,
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
  const { color } = told(row.policies);
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
  return { name: `${row.name}-cost`, title, label, spec };
}

export interface TradeOff {
  readonly figure: Figure;
  /** Policies on the Pareto front, the cheapest first. */
  readonly front: readonly string[];
  readonly knee: string | undefined;
}

/** Accuracy against a cost for the policies of a row, with the Pareto front and its knee. */
export function tradeOffFigure(
  row: SuiteRow,
  cache: CacheState,
  cells: readonly Cell[],
  accuracy: Quantity,
  cost: Quantity,
  estimated: boolean,
): TradeOff | undefined {
  const values = cells.flatMap((cell) => {
    const [gain, at] = [meanOfCell(cell, accuracy), meanOfCell(cell, cost)];
    if (gain === undefined || at === undefined) return [];
    const gains = valuesOf(cell, accuracy);
    return [{ series: cell.policy, gain, cost: at, low: Math.min(...gains), high: Math.max(...gains) }];
  });
  if (values.length === 0) return undefined;
  const front = paretoFront(values);
  const knee = kneeOf(front);
  const costs = values.map((each) => each.cost);
  const isWide = Math.max(...costs) / Math.min(...costs) > 8 && Math.min(...costs) > 0;
  const x = {
    field: 'cost',
    type: 'quantitative',
    title: withUnit(cost, estimated) + (isWide ? ' (logarithmic)' : ''),
    scale: isWide ? { type: 'log', nice: false, padding: 24 } : { zero: false, padding: 24 },
    axis: isWide ? { tickCount: 4, format: '~s' } : { tickCount: 5 },
  };
  const y = (field: string) => ({
    field,
    type: 'quantitative',
    title: withUnit(accuracy),
    scale: { zero: false, padding: 18 },
    axis: { tickCount: 6 },
  });
  const scaled = (value: number) => (isWide ? Math.log(value) : value);
  const middle = (scaled(Math.min(...costs)) + scaled(Math.max(...costs))) / 2;
  const named = values.map((each) => ({
    ...each,
    text: each.series === knee?.series ? `${each.series}, the knee` : each.series,
    align: scaled(each.cost) > middle ? 'right' : 'left',
  }));
  const { color, shape } = told(row.policies);
  const byCost = { x, y: y('gain') };
  const spec = {
    width: WIDTH,
    height: HEIGHT,
    layer: [
      {
        data: { values: front },
        mark: { type: 'line', interpolate: 'step-after', strokeDash: [4, 3], color: 'currentColor', opacity: 0.6 },
        encoding: byCost,
      },
      {
        data: { values },
        mark: { type: 'rule', strokeWidth: 1.5, opacity: 0.5 },
        encoding: { x, y: y('low'), y2: { field: 'high' }, color: { ...color, legend: null } },
      },
      {
        data: { values: knee ? [knee] : [] },
        mark: { type: 'point', size: 360, shape: 'circle', strokeWidth: 1.5, color: 'currentColor', filled: false },
        encoding: byCost,
      },
      ...(['left', 'right'] as const).map((align) => ({
        data: { values: named.filter((each) => each.align === align) },
        mark: { type: 'text', align, dx: align === 'left' ? 11 : -11, dy: -9, fontSize: 11, color: 'currentColor' },
        encoding: { ...byCost, text: { field: 'text' } },
      })),
      {
        data: { values },
        mark: { type: 'point', filled: true, size: 90, opacity: 1 },
        encoding: { ...byCost, color: { ...color, legend: null }, shape: { ...shape, legend: null } },
      },
    ],
  } as ChartSpec;
  const title = `Accuracy against ${cost.unit === 'J' ? 'energy' : cost.title === 'CPU' ? 'CPU seconds' : 'time'}`;
  const points = values.map(
    (each) => `${each.series} ${each.gain.toFixed(1)} % for ${each.cost.toPrecision(3)} ${cost.unit}`,
  );
  const onFront = front.map((each) => each.series);
  const label = `${title}, ${row.title}, ${cache} cache: ${points.join(', ')}. On the Pareto front: ${onFront.join(', ')}. Knee: ${knee?.series ?? 'none'}.`;
  return {
    figure: { name: `${row.name}-${cache}-accuracy-by-${cost.key}`, title, label, spec },
    front: onFront,
    knee: knee?.series,
  };
}

/** How a cost grows along an axis: lines for policies, one chart for each of what else differs. */
export function growthFigure(
  name: string,
  axis: string,
  points: readonly { readonly at: number; readonly policy: string; readonly value: number }[],
  policies: readonly string[],
  quantity: Quantity,
  where: string,
): Figure {
  const { color, strokeDash, shape } = told(policies);
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
