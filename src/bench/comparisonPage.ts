import { type ChartSpec, drawChart } from '../figures/chart.js';
import { htmlPage } from '../figures/page.js';
import { inLines, type Markup, markup, trusted } from '../markup.js';
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
    ['map', 'mAP on validation photos', '.0%'],
    ['valLoss', 'validation loss', '~g'],
    ['trainLoss', 'training loss', '~g'],
  ] as const;
  const figures: Markup[] = [];
  for (const [field, title, format] of curves) {
    // Runs of classes have no mAP, and those of labels no top-1.
    if (!groups.some(({ runs }) => runs.some(({ curve }) => curve.some((epoch) => epoch[field] !== undefined))))
      continue;
    const svg = await drawChart(curveOf(groups, field, title, format), { standalone: false });
    figures.push(markup`<figure>${trusted(svg)}</figure>`);
  }
  const sections = tables.map(({ title, rows }) => markup`<h2>${title}</h2>\n${htmlTable(rows)}`);
  return htmlPage('Runs compared', inLines([...figures, ...sections]));
}

function curveOf(
  groups: readonly RunGroup[],
  field: Exclude<keyof ComparedEpoch, 'epoch'>,
  title: string,
  format: string,
): ChartSpec {
  const values = groups.flatMap(({ label, runs }) => {
    const epochs = [...new Set(runs.flatMap(({ curve }) => curve.map(({ epoch }) => epoch)))];
    return epochs.flatMap((epoch) => {
      const all = runs.flatMap(({ curve }) => curve.find((each) => each.epoch === epoch)?.[field] ?? []);
      if (all.length === 0) return [];
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

function htmlTable([headings = [], ...rows]: readonly (readonly string[])[]): Markup {
  const first = markup`<tr>${headings.map((cell) => markup`<th>${cell}</th>`)}</tr>`;
  const others = rows.map((row) => markup`<tr>${row.map((cell) => markup`<td>${cell}</td>`)}</tr>`);
  return markup`<table>\n${inLines([first, ...others])}\n</table>`;
}
