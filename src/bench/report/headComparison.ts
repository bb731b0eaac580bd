import { scoreOf } from '../../train/headline.js';
import { type Markup, markup } from '../../markup.js';
import { reached } from '../runResult.js';
import { meanOf } from '../statistics.js';
import type { SuiteRow } from '../suite.js';
import type { PaperFigures } from '../suiteFile/suiteSchema.js';
import { type Cell, type Quantity, accuracyIn, valuesOf } from '../suiteResults.js';
import { dataTable, numberCell, percent } from './dataTable.js';
import { halfInterval, meanWithInterval, type ReportedSuite } from './reportedSuite.js';

/** The head alone beside one convolution more, on each row, with what the paper found where a row is one of its own. */
export function headComparison(reported: ReportedSuite): Markup {
  const { suite, cost } = reported;
  const heading = reported.headingOf(cost.quantity);
  const energy = cost.quantity.unit === 'J' ? heading : `${heading} (energy: not measured)`;
  const table = dataTable({
    label: 'Accuracy, energy, gain in accuracy and faster convergence',
    headings: [
      ...['model, pretrained → target', '', `FC only (${suite.baseline})`, 'FxC1'],
      ...[`${energy}, FC only`, `${energy}, FxC1`, 'accuracy gain', 'faster convergence'],
    ],
    rows: suite.rows.map((row) => rowOf(reported, row)),
    words: 2,
  });
  return markup`${table}\n${notes(reported)}`;
}

function rowOf(reported: ReportedSuite, row: SuiteRow): Markup {
  const { paper, title } = row;
  const onMachines = row.missing === undefined && reported.hasMachines ? machineRows(reported, row) : [];
  const heading = markup`<th scope="row" rowspan="${(paper ? 2 : 1) + onMachines.length}">${title}</th>`;
  const ours = markup`<td>here</td>${ourFigures(reported, row)}`;
  if (!paper) return markup`<tr>${heading}${ours}</tr>${onMachines}`;
  return markup`<tr>${heading}<td>paper</td>${printedFigures(paper).map(numberCell)}</tr><tr class="ours">${ours}</tr>${onMachines}`;
}

/** What the two policies took on each kind of machine. */
function machineRows(reported: ReportedSuite, row: SuiteRow): Markup[] {
  const { quantity } = reported.cost;
  return reported.groups.map(({ cells }, index) => {
    const ofRow = reported.leading(row).map(({ name }) => cells.find((cell) => cell.name === name));
    const costs = [isHeadOf(reported), isConvolution].map((is) => {
      const cell = ofRow.find((each) => each !== undefined && is(each.policy));
      return cell ? meanWithInterval(cell, quantity) : 'not run';
    });
    return markup`<tr class="ours"><td>machine ${index + 1}</td>${['', '', ...costs, '', ''].map(numberCell)}</tr>`;
  });
}

const isHeadOf =
  ({ suite }: ReportedSuite) =>
  (policy: string) =>
    policy === suite.baseline;
const isConvolution = (policy: string) => /^F(x|\d+)C1$/.test(policy);

const printedFigures = (paper: PaperFigures): string[] => [
  percent(paper.fc),
  percent(paper.fxc1),
  `${paper['energy-fc'].toLocaleString('en-US')} nJ`,
  `${paper['energy-fxc1'].toLocaleString('en-US')} nJ`,
  percent(paper.gain, 2),
  percent(paper.faster, 2),
];

function ourFigures(reported: ReportedSuite, row: SuiteRow): Markup {
  if (row.missing !== undefined) return markup`<td colspan="6" class="absent">missing: ${row.missing}</td>`;
  const leading = reported.leading(row);
  const fc = leading.find(({ policy }) => isHeadOf(reported)(policy));
  const conv = leading.find(({ policy }) => isConvolution(policy));
  const accuracy = accuracyIn(leading);
  const { quantity } = reported.cost;
  const shown = (cell: Cell | undefined, each: Quantity) => (cell ? meanWithInterval(cell, each) : 'not in the suite');
  const cells = [
    ...[shown(fc, accuracy), shown(conv, accuracy), shown(fc, quantity), shown(conv, quantity)],
    accuracyGain(fc, conv),
    fc && conv ? fasterConvergence(fc, conv) : 'not in the suite',
  ];
  return markup`${cells.map(numberCell)}`;
}

function accuracyGain(fc: Cell | undefined, conv: Cell | undefined): string {
  const [before, after] = [fc, conv].map((cell) => (cell ? valuesOf(cell, accuracyIn([cell])) : []));
  if (!before || !after || before.length === 0 || after.length === 0) return 'not run';
  return percent((100 * (meanOf(after) - meanOf(before))) / meanOf(before), 2);
}

function fasterConvergence(fc: Cell, conv: Cell): string {
  const shares: number[] = [];
  let pairs = 0;
  for (const { run, result } of conv.finished) {
    const other = fc.finished.find((each) => each.run.seed === run.seed && each.run.round === run.round);
    if (!other) continue;
    pairs++;
    const epoch = reached(result, scoreOf(other.result))?.epoch;
    const epochOfFc = reached(other.result, scoreOf(other.result))?.epoch;
    if (epoch !== undefined && epochOfFc !== undefined) shares.push(100 * (1 - epoch / epochOfFc));
  }
  if (pairs === 0) return 'not run';
  if (shares.length === 0) return `never, in ${pairs} seeds`;
  const counted = shares.length < pairs ? ` (in ${shares.length} of ${pairs} seeds)` : '';
  return `${meanOf(shares).toFixed(1)}${halfInterval(shares)} %${counted}`;
}

function notes({ suite, energyNote }: ReportedSuite): Markup {
  const ofPaper = suite.rows.some(({ paper }) => paper)
    ? ' The paper’s nanojoules are its own model’s of a microcontroller’s arithmetic and are not comparable with what a whole computer draws: compare the ratios of the two columns.'
    : '';
  return markup`<div class="notes"><p><b>FC only</b> and <b>FxC1</b>: top-1 on the validation photos at the best epoch, mean over seeds ± half of Student’s interval of 95 %.
FC only is ${suite.baseline}, FxC1 the policy of that kind that the suite has, every fully connected layer and the last convolution.</p>
<p><b>Accuracy gain</b>: (FxC1 − FC only) ÷ FC only, of the means, in percent, which is how the paper’s own column follows from its accuracies.</p>
<p><b>Faster convergence</b>: 1 − (the first epoch at which FxC1 is as accurate as FC only at its best) ÷ (the first epoch at which FC only is), in percent,
for each seed, then the mean; seeds in which FxC1 never gets there are left out, and counted. The table of the paper does not say how it counts.</p>
<p><b>Energy</b>: ${energyNote}${ofPaper}</p></div>`;
}
