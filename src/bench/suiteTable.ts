import { csvLine } from '../text.js';
import { interval95, meanOf, standardDeviation } from './statistics.js';
import { type Cell, quantities, valuesOf } from './suiteResults.js';

/** `summary.csv`: a line for each cell, with mean, standard deviation, count and Student's interval of 95 % of each quantity. */
export function summaryCsv(cells: readonly Cell[]): string {
  const statistics = ['mean', 'sd', 'n', 'low95', 'high95'];
  // The columns of most suites are of photos with one class each.
  const kinds = quantities.filter(
    (quantity) => quantity.key !== 'mapPercent' || cells.some((cell) => valuesOf(cell, quantity).length > 0),
  );
  const headings = [
    ...['row', 'model', 'data', 'policy', 'cache', 'settings', 'runs', 'reached_target'],
    ...kinds.flatMap(({ key }) => statistics.map((each) => `${key}_${each}`)),
  ];
  const lines = cells.map((cell) => {
    const { row, policy, cache, finished } = cell;
    const settings = Object.entries(row.varied).map(([key, value]) => `${key}=${value}`);
    const reached = finished.filter((run) => run.reached !== undefined).length;
    return [
      ...[row.name, row.model.name, row.data.name, policy, cache, settings.join(' '), finished.length, reached],
      ...kinds.flatMap((quantity) => {
        const values = valuesOf(cell, quantity);
        if (values.length === 0) return ['', '', 0, '', ''];
        const interval = interval95(values);
        return [
          meanOf(values),
          standardDeviation(values) ?? '',
          values.length,
          interval?.low ?? '',
          interval?.high ?? '',
        ];
      }),
    ];
  });
  return [headings, ...lines].map((line) => `${csvLine(line.map(rounded))}\n`).join('');
}

const rounded = (value: string | number) => (typeof value === 'number' ? Number(value.toPrecision(8)) : value);
