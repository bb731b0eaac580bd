import { type Markup, markup } from '../../markup.js';
import { type Cell, quantities, type Quantity, type RunOutcome, valuesOf } from '../suiteResults.js';
import { dataTable, numberCell, percent } from './dataTable.js';
import { absent, meanWithInterval, type ReportedSuite, significantOf } from './reportedSuite.js';

/** What each policy gives and costs, in means over seeds. */
export function policyTable(reported: ReportedSuite): Markup {
  const { cells, hasCaches } = reported;
  const shown = quantities.filter((quantity) => cells.some((cell) => valuesOf(cell, quantity).length > 0));
  const rows = cells.flatMap((cell) => policyRow(cell, shown, hasCaches) ?? []);
  if (rows.length === 0) return markup`<p>No run has finished yet.</p>`;
  const table = dataTable({
    label: 'What each policy gives and costs',
    headings: [
      ...['', 'policy', ...(hasCaches ? ['cache'] : [])],
      ...['parameters that train', 'runs', 'reached target'],
      ...shown.map((quantity) => reported.headingOf(quantity)),
    ],
    rows,
    words: hasCaches ? 3 : 2,
  });
  return markup`<p>Means over seeds ± half of Student’s interval of 95 %. All of it, with standard deviations, is in <code>summary.csv</code>.</p>${table}`;
}

/** Undefined for a cell of which no run is finished. */
function policyRow(cell: Cell, shown: readonly Quantity[], hasCaches: boolean): Markup | undefined {
  const { finished, row, policy, cache } = cell;
  const example = finished[0]?.result;
  if (!example) return undefined;
  const reached = finished.filter((run) => run.reached !== undefined).length;
  const numbers = [
    percent((100 * example.trainableParameters) / example.parameters),
    String(finished.length),
    `${reached} of ${finished.length}`,
    ...shown.map((quantity) => meanWithInterval(cell, quantity)),
  ];
  const cacheCell = hasCaches ? markup`<td>${cache}</td>` : '';
  return markup`<tr><th scope="row">${row.title}</th><td>${policy}</td>${cacheCell}${numbers.map(numberCell)}</tr>`;
}

/** Every run that was made. Empty where none was. */
export function runTable(reported: ReportedSuite): Markup {
  const { results, suite, cells } = reported;
  const finished = cells.flatMap((cell) => cell.finished);
  const shown = quantities.filter(({ read }) => finished.some((run) => read(run) !== undefined));
  const isRepeated = suite.repeat > 1;
  const rows = results.outcomes.flatMap((outcome) => {
    if (!outcome.result && outcome.error === undefined) return [];
    return [markup`<tr>${runCells(outcome, isRepeated)}${resultCells(outcome, reported, shown)}</tr>`];
  });
  if (rows.length === 0) return markup``;
  const table = dataTable({
    label: 'Every run',
    headings: [
      ...['row', 'policy', 'cache', 'seed', ...(isRepeated ? ['round'] : [])],
      ...[...shown.map((quantity) => reported.headingOf(quantity)), 'ended (UTC)'],
    ],
    rows,
    words: 3,
  });
  return markup`<details><summary>${rows.length} runs</summary>${table}</details>`;
}

function runCells({ run }: RunOutcome, isRepeated: boolean): Markup {
  const round = isRepeated ? markup`<td class="number">${run.round}</td>` : '';
  return markup`<th scope="row">${run.row.name}</th><td>${run.policy}</td><td>${run.cache}</td><td class="number">${run.seed}</td>${round}`;
}

function resultCells({ run, error, at }: RunOutcome, { cells }: ReportedSuite, shown: readonly Quantity[]): Markup {
  const known = cells.flatMap(({ finished }) => finished).find((each) => each.run === run);
  if (!known) return markup`<td colspan="${shown.length + 1}" class="absent">failed: ${error ?? ''}</td>`;
  const numbers = shown.map((quantity) => {
    const value = quantity.read(known);
    return numberCell(value === undefined ? absent(quantity) : significantOf(quantity, value));
  });
  return markup`${numbers}<td>${at?.slice(0, 16).replace('T', ' ') ?? ''}</td>`;
}
