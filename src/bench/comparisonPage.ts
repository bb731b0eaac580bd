import { type ChartSpec, drawChart } from '../figures/chart.js';
import { escapeHtml, htmlPage } from '../figures/page.js';
import type { ComparedEpoch } from './comparedRun.js';
import type { Comparison, RunGroup } from './comparison.js';
import { meanOf } from './statistics.js';

/** Tables as rows of cells, the first the headings. */
export interface ComparisonTable {
  readonly title: string;
  readonly rows: readonly (readonly string[])[];
}

/** A page that needs no other file: curves by epoch, means over seeds, and `tables`. */
export async function comparisonPage({ groups }: Comparison, tables: readonly ComparisonTable[]): Promise<string> {
  const curves = [
    ['top1', 'top-1 on validation photos', '.0%'],
    ['valLoss', 'validation loss', '~g'],
    ['trainLoss', 'training loss', '~g'],
  ] as const;
  const figures: string[] = [];
  for (const [field, title, format] of curves) {
    const svg = await drawChart(curveOf(groups, field, title, format), { standalone: false });
    figures.push(`<figure>${svg}</figure>`);
  }
  const sections = tables.map(({ title, rows }) => `<h2>${escapeHtml(title)}</h2>\n${htmlTable(rows)}`);
  return htmlPage('Runs compared', [...figures, ...sections].join('\n'));
}

function curveOf(
  groups: readonly RunGroup[],
  field: Exclude<keyof ComparedEpoch, 'epoch'>,
  title: string,
  format: string,
): ChartSpec {
  const values = groups.flatMap(({ label, runs }) => {
    const epochs = [...new Set(runs.flatMap(({ curve }) => curve.map(({ epoch }) => epoch)))];
    return epochs.map((epoch) => {
      const all = runs.flatMap(({ curve }) => curve.find((each) => each.epoch === epoch)?.[field] ?? []);
      return { runs: label, epoch, mean: meanOf(all), low: Math.min(...all), high: Math.max(...all) };
    });
  });
  const x = { field: 'epoch', type: 'quantitative', axis: { tickMinStep: 1, format: 'd' } } as const;
  const told = { field: 'runs', type: 'nominal', title: null, sort: null } as const;
  return {
    data: { values },
    width: 360,
    height: 240,
    layer: [
      {
        mark: { type: 'area', opacity: 0.15 },
        encoding: {
          x,
          y: { field: 'low', type: 'quantitative', title, scale: { zero: false }, axis: { format } },
          y2: { field: 'high' },
          color: told,
        },
      },
      {
        mark: { type: 'line', point: true },
        encoding: { x, y: { field: 'mean', type: 'quantitative', title }, color: told, strokeDash: told },
      },
    ],
  };
}

function htmlTable([headings = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[], tag: 'th' | 'td') =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  return `<table>\n${[line(headings, 'th'), ...rows.map((row) => line(row, 'td'))].join('\n')}\n</table>`;
}
