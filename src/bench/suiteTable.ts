import { csvLine } from '../text.js';
import { interval95, meanOf, standardDeviation } from './statistics.js';
import {
  type Cell,
  cellsOn,
  machinesOf,
  quantities,
  type Quantity,
  type SuiteResults,
  valuesOf,
} from './suiteResults.js';

/**
 * `summary.csv`: a line for each cell, with mean, standard deviation, count and Student's interval of 95 % of each quantity. Where several kinds of machines
 * ran the suite, that line tells accuracies, and one more for each kind the rest.
 */
export function summaryCsv(cells: readonly Cell[], results: Pick<SuiteResults, 'outcomes'>): string {
  const machines = machinesOf(results);
  const hasMachines = machines.length > 1;
  const lines = hasMachines
    ? cells.flatMap((cell) => [
        { cell, machine: 'all' },
        ...machines.flatMap((machine) => cellsOn([cell], machine).map((each) => ({ cell: each, machine }))),
      ])
    : cells.map((cell) => ({ cell, machine: 'all' }));
  const statistics = ['mean', 'sd', 'n', 'low95', 'high95'];
  // The columns of most suites are of photos with one class each.
  const kinds = quantities.filter(
    (quantity) => quantity.key !== 'mapPercent' || cells.some((cell) => valuesOf(cell, quantity).length > 0),
  );
  const headings = [
    ...[
      'row',
      'model',
      'data',
      'policy',
      'cache',
      'settings',
      ...(hasMachines ? ['machine'] : []),
      'runs',
      'reached_target',
    ],
    ...kinds.flatMap(({ key }) => statistics.map((each) => `${key}_${each}`)),
  ];
  const told = lines.map(({ cell, machine }) => {
    const { row, policy, cache } = cell;
    const isOfAll = machine === 'all';
    const finished = isOfAll ? cell.finished : cell.measured;
    const valuesHere = (quantity: Quantity) => (isOfAll || !quantity.isOfLearning ? valuesOf(cell, quantity) : []);
    const settings = Object.entries(row.varied).map(([key, value]) => `${key}=${value}`);
    const reached = finished.filter((run) => run.reached !== undefined).length;
    return [
      ...[row.name, row.model.name, row.data.name, policy, cache, settings.join(' ')],
      ...[...(hasMachines ? [machine] : []), finished.length, reached],
      ...kinds.flatMap((quantity) => {
        const values = valuesHere(quantity);
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
  return [headings, ...told].map((line) => `${csvLine(line.map(rounded))}\n`).join('');
}

const rounded = (value: string | number) => (typeof value === 'number' ? Number(value.toPrecision(8)) : value);
