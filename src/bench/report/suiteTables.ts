import { type Markup, markup } from '../../markup.js';
import { type Cell, quantities, type Quantity, type RunOutcome, valuesOf } from '../suiteResults.js';
import { dataTable, numberCell, percent } from './dataTable.js';
import { absent, meanWithInterval, type ReportedSuite, significantOf } from './reportedSuite.js';

/** What each policy gives and costs, in means over seeds. */
export function policyTable(reported: ReportedSuite): Markup {
  const { cells, hasCaches, hasMachines, groups } = reported;
  const all = groups.flatMap((group) => group.cells);
  const shown = quantities.filter((quantity) => all.some((cell) => valuesOf(cell, quantity).length > 0));
  const onMachines = groups.map((group, index) => ({ ...group, name: `machine ${index + 1}` }));
  const listed = hasMachines ? [{ name: 'all', cells }, ...onMachines] : groups;
  const rows = listed.flatMap((group) =>
    group.cells.flatMap((cell) => policyRow(cell, shown, { hasCaches, machine: group.name }) ?? []),
  );
  if (rows.length === 0) return markup`<p>No run has finished yet.</p>`;
  const table = dataTable({
    label: 'What each policy gives and costs',
    headings: [
      ...['', 'policy', ...(hasMachines ? ['machine'] : []), ...(hasCaches ? ['cache'] : [])],
      ...['parameters that train', 'runs', 'reached target'],
      ...shown.map((quantity) => reported.headingOf(quantity)),
    ],
    rows,
    words: 2 + Number(hasCaches) + Number(hasMachines),
  });
  return markup`<p>Means over seeds ± half of Student’s interval of 95 %. All of it, with standard deviations, is in <code>summary.csv</code>.</p>${table}`;
}

/** Undefined for a cell of which no run is finished. `machine` is empty where there is one kind alone; accuracies are told of all kinds together. */
function policyRow(
  cell: Cell,
  shown: readonly Quantity[],
  { hasCaches, machine }: { readonly hasCaches: boolean; readonly machine: string },
): Markup | undefined {
  const { row, policy, cache } = cell;
  const isOfAll = machine === '' || machine === 'all';
  const finished = isOfAll ? cell.finished : cell.measured;
  const example = finished[0]?.result;
  if (!example) return undefined;
  const reached = finished.filter((run) => run.reached !== undefined).length;
  const numbers = [
    percent((100 * example.trainableParameters) / example.parameters),
    String(finished.length),
    `${reached} of ${finished.length}`,
    ...shown.map((quantity) => (isOfAll || !quantity.isOfLearning ? meanWithInterval(cell, quantity) : '')),
  ];
  const machineCell = machine === '' ? '' : markup`<td>${machine}</td>`;
  const cacheCell = hasCaches ? markup`<td>${cache}</td>` : '';
  return markup`<tr><th scope="row">${row.title}</th><td>${policy}</td>${machineCell}${cacheCell}${numbers.map(numberCell)}</tr>`;
}

/** Every run that was made. Empty where none was. */
export function runTable(reported: ReportedSuite): Markup {
  const { results, suite, cells, hasMachines } = reported;
  const finished = cells.flatMap((cell) => cell.finished);
  const shown = quantities.filter(({ read }) => finished.some((run) => read(run) !== undefined));
  const isRepeated = suite.repeat > 1;
  const rows = results.outcomes.flatMap((outcome) => {
    if (!outcome.result && outcome.error === undefined) return [];
    const machine = hasMachines ? machineOf(outcome, reported) : undefined;
    return [markup`<tr>${runCells(outcome, isRepeated, machine)}${resultCells(outcome, reported, shown)}</tr>`];
  });
  if (rows.length === 0) return markup``;
  const table = dataTable({
    label: 'Every run',
    headings: [
      ...['row', 'policy', 'cache', 'seed', ...(isRepeated ? ['round'] : []), ...(hasMachines ? ['machine'] : [])],
      ...[...shown.map((quantity) => reported.headingOf(quantity)), 'ended (UTC)'],
    ],
    rows,
    words: 3,
  });
  return markup`<details><summary>${rows.length} runs</summary>${table}</details>`;
}

/** The number of the kind of machine that made a run. */
function machineOf({ machine }: RunOutcome, { groups }: ReportedSuite): string {
  const at = groups.findIndex(({ name }) => name === machine);
  return at < 0 ? '' : String(at + 1);
}

function runCells({ run }: RunOutcome, isRepeated: boolean, machine?: string): Markup {
  const machineCell = machine === undefined ? '' : markup`<td class="number">${machine}</td>`;
  const round = isRepeated ? markup`<td class="number">${run.round}</td>` : '';
  return markup`<th scope="row">${run.row.name}</th><td>${run.policy}</td><td>${run.cache}</td><td class="number">${run.seed}</td>${round}${machineCell}`;
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
