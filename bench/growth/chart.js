// Plots of what was measured along an axis.
import { drawChart } from '../../dist/figures/chart.js';
import { perfectOf } from './measured.js';

/** @import { ChartSpec } from '../../dist/figures/chart.js' */
/** @import { Axis } from './axes.js' */
/** @import { Measured } from './measured.js' */

/**
 * One panel for each quantity, a line for each policy on each machine; rounds as a band.
 * @param {Axis} axis
 * @param {readonly Measured[]} measured
 */
export function drawGrowth(axis, measured) {
  const machines = new Set(measured.map(({ machine }) => machine));
  const shown = [...measured, ...perfectOf(axis)];
  const data = shown.flatMap(({ value, policy, machine, numbers }) => {
    const series = [policy, ...(machines.size > 1 && machine !== '' ? [machine] : [])].join(', ');
    return numbers.map(({ title, spread }) => ({ value, series, machine, title, ...spread }));
  });
  const ordinal = axis.points.some(({ shown }) => typeof shown === 'string');
  // Of bars, the policy stands below.
  const coloured = ordinal ? 'machine' : 'series';
  const several = new Set(data.map((each) => each[coloured])).size > 1;
  const colour = { field: coloured, title: null, type: /** @type {const} */ ('nominal'), sort: null };
  /** @typedef {Extract<ChartSpec, { hconcat: unknown }>['hconcat'][number]} Panel */
  /** @type {(title: string) => Panel} */
  const panel = (title) => ({
    title: { text: title, anchor: 'start' },
    width: 240,
    height: 200,
    transform: [{ filter: { field: 'title', equal: title } }],
    encoding: {
      x: {
        field: 'value',
        type: ordinal ? 'nominal' : 'quantitative',
        title: axis.label,
        sort: null,
        ...(ordinal ? { axis: { labelAngle: 0 } } : { axis: { tickMinStep: 1 }, scale: { nice: false, zero: true } }),
      },
      ...(several ? { color: colour } : {}),
      ...(several && ordinal ? { xOffset: { field: 'machine', sort: null } } : {}),
    },
    layer: [
      {
        mark: ordinal ? { type: 'bar' } : { type: 'line', point: true },
        encoding: { y: { field: 'median', type: 'quantitative', title: null, scale: { zero: true } } },
      },
      {
        mark: { type: 'rule', strokeWidth: 1.5, ...(ordinal ? { color: '#888' } : {}) },
        encoding: { y: { field: 'min', type: 'quantitative' }, y2: { field: 'max' } },
      },
    ],
  });
  const titles = [...new Set(measured.flatMap(({ numbers }) => numbers.map(({ title }) => title)))];
  return drawChart({ data: { values: data }, hconcat: titles.map(panel) });
}
