import type { ChartSpec } from '../../figures/chart.js';
import { kneeOf, paretoFront } from '../pareto.js';
import { meanOf } from '../statistics.js';
import type { CacheState, SuiteRow } from '../suite.js';
import { type Cell, type Quantity, valuesOf } from '../suiteResults.js';
import { type Figure, HEIGHT, seriesChannels, WIDTH, withUnit } from './figure.js';

/** Which cells of a row are compared, and by what. */
export interface TradeOffOptions {
  readonly row: SuiteRow;
  readonly cache: CacheState;
  readonly cells: readonly Cell[];
  /** Ends the name of its files. */
  readonly suffix: string;
  readonly accuracy: Quantity;
  readonly cost: Quantity;
  /** Whether the cost is estimated. */
  readonly isEstimated: boolean;
}

export interface TradeOff {
  readonly figure: Figure;
  /** Policies on the Pareto front, the cheapest first. */
  readonly front: readonly string[];
  readonly knee: string | undefined;
}

/** A policy's place in the chart: means, and the least and the most accuracy. */
interface Point {
  readonly series: string;
  readonly gain: number;
  readonly cost: number;
  readonly low: number;
  readonly high: number;
}

/** Accuracy against a cost for the policies of a row, with the Pareto front and its knee. Undefined where nothing is known of any. */
export function tradeOffFigure(options: TradeOffOptions): TradeOff | undefined {
  const { row, cache, cost } = options;
  const points = options.cells.flatMap((cell) => pointOf(cell, options) ?? []);
  if (points.length === 0) return undefined;
  const front = paretoFront(points);
  const knee = kneeOf(front)?.series;
  const title = `Accuracy against ${cost.unit === 'J' ? 'energy' : cost.title === 'CPU' ? 'CPU seconds' : 'time'}`;
  const told = points.map(
    (each) => `${each.series} ${each.gain.toFixed(1)} % for ${each.cost.toPrecision(3)} ${cost.unit}`,
  );
  const onFront = front.map((each) => each.series);
  const label = `${title}, ${row.title}, ${cache} cache: ${told.join(', ')}. On the Pareto front: ${onFront.join(', ')}. Knee: ${knee ?? 'none'}.`;
  const name = `${row.name}-${cache}-accuracy-by-${cost.key}${options.suffix}`;
  return { figure: { name, title, label, spec: specOf(points, front, knee, options) }, front: onFront, knee };
}

function pointOf(cell: Cell, { accuracy, cost }: TradeOffOptions): Point | undefined {
  const [gains, costs] = [valuesOf(cell, accuracy), valuesOf(cell, cost)];
  if (gains.length === 0 || costs.length === 0) return undefined;
  return {
    series: cell.policy,
    gain: meanOf(gains),
    cost: meanOf(costs),
    low: Math.min(...gains),
    high: Math.max(...gains),
  };
}

/** A chart of the points, the front as a dashed line, and a ring around the knee. */
function specOf(
  points: readonly Point[],
  front: readonly Point[],
  knee: string | undefined,
  { row, accuracy, cost, isEstimated }: TradeOffOptions,
): ChartSpec {
  const costs = points.map((each) => each.cost);
  const isWide = Math.max(...costs) / Math.min(...costs) > 8 && Math.min(...costs) > 0;
  const x = {
    field: 'cost',
    type: 'quantitative',
    title: withUnit(cost, isEstimated) + (isWide ? ' (logarithmic)' : ''),
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
  const { color, shape } = seriesChannels(row.policies);
  const byCost = { x, y: y('gain') };
  return {
    width: WIDTH,
    height: HEIGHT,
    layer: [
      {
        data: { values: front },
        mark: { type: 'line', interpolate: 'step-after', strokeDash: [4, 3], color: 'currentColor', opacity: 0.6 },
        encoding: byCost,
      },
      {
        data: { values: points },
        mark: { type: 'rule', strokeWidth: 1.5, opacity: 0.5 },
        encoding: { x, y: y('low'), y2: { field: 'high' }, color: { ...color, legend: null } },
      },
      {
        data: { values: front.filter(({ series }) => series === knee) },
        mark: { type: 'point', size: 360, shape: 'circle', strokeWidth: 1.5, color: 'currentColor', filled: false },
        encoding: byCost,
      },
      ...names(points, knee, isWide).map(({ align, values }) => ({
        data: { values },
        mark: { type: 'text', align, dx: align === 'left' ? 11 : -11, dy: -9, fontSize: 11, color: 'currentColor' },
        encoding: { ...byCost, text: { field: 'text' } },
      })),
      {
        data: { values: points },
        mark: { type: 'point', filled: true, size: 90, opacity: 1 },
        encoding: { ...byCost, color: { ...color, legend: null }, shape: { ...shape, legend: null } },
      },
    ],
  } as ChartSpec;
}

/** The points with their names, which stand to the right of those in the left half and to the left of the others. */
function names(points: readonly Point[], knee: string | undefined, isWide: boolean) {
  const costs = points.map((each) => each.cost);
  const scaled = (value: number) => (isWide ? Math.log(value) : value);
  const middle = (scaled(Math.min(...costs)) + scaled(Math.max(...costs))) / 2;
  const named = points.map((each) => ({
    ...each,
    text: each.series === knee ? `${each.series}, the knee` : each.series,
    align: scaled(each.cost) > middle ? 'right' : 'left',
  }));
  return (['left', 'right'] as const).map((align) => ({ align, values: named.filter((each) => each.align === align) }));
}
