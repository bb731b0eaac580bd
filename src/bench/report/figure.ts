import { type ChartSpec, PALETTE } from '../../figures/chart.js';
import type { Quantity } from '../suiteResults.js';

/** A chart, and what it is called. */
export interface Figure {
  /** Name of its files, without their ending. */
  readonly name: string;
  readonly title: string;
  /** For who cannot see it. */
  readonly label: string;
  readonly spec: ChartSpec;
}

/** Size of a chart in px. */
export const WIDTH = 300;
export const HEIGHT = 210;
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
export function seriesChannels(names: readonly string[]) {
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

/** A quantity with its unit, as the title of an axis. */
export const withUnit = ({ title, unit }: Quantity, estimated = false): string =>
  `${title}${estimated ? ', estimated' : ''}${unit === '' ? '' : `, ${unit}`}`;
