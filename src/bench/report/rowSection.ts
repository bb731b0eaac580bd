import { inLines, type Markup, markup } from '../../markup.js';
import { meanOf } from '../statistics.js';
import type { CacheState, SuiteRow } from '../suite.js';
import { type Cell, type Quantity, accuracyIn, quantityCalled, valuesOf } from '../suiteResults.js';
import type { DrawnFigures } from './drawnFigures.js';
import { type MachineGroup, meanWithInterval, type ReportedSuite } from './reportedSuite.js';
import { costFigure, curveFigures } from './suiteFigures.js';
import { type TradeOff, tradeOffFigure } from './tradeOffFigure.js';

/** The charts of accuracy against energy and against time, with a cold or a warm cache, on one kind of machine. */
interface TradeOffs {
  readonly cache: CacheState;
  /** Empty where there is one kind alone. */
  readonly machine: string;
  readonly pair: readonly TradeOff[];
}

/** What the policies give and cost on one row: a verdict in words, curves, bars of costs, and accuracy against cost. */
export async function rowSection(reported: ReportedSuite, figures: DrawnFigures, row: SuiteRow): Promise<Markup> {
  const tradeOffs = reported.groups.flatMap((group) =>
    reported.suite.caches.map((cache) => tradeOffsOf(reported, row, cache, group)),
  );
  const parts = [
    markup`<p>${verdict(reported, reported.leading(row), tradeOffs)}</p>`,
    await figures.show(
      'Accuracy and loss',
      'Figure 1. Lines are means over seeds, bands reach from the least to the most.',
      curveFigures(row, reported.leading(row)),
    ),
  ];
  for (const group of reported.groups) parts.push(await costs(reported, figures, row, group));
  for (const [index, { cache, machine, pair }] of tradeOffs.entries())
    parts.push(
      await figures.show(
        `Accuracy against cost${reported.hasCaches ? `, ${cache} cache` : ''}${onMachine(machine)}`,
        index > 0 ? '' : TRADE_OFF_CAPTION,
        pair.map(({ figure }) => figure),
      ),
    );
  return inLines(parts);
}

const TRADE_OFF_CAPTION =
  'Points are means over seeds, vertical lines reach from the least to the most accuracy. Dashed: the Pareto front, policies that no other beats in both. Ringed: its knee, of the points of the front, both axes scaled linearly to 0 … 1, the one farthest above the line from the first to the last (Kneedle; Satopää and others, 2011).';

const onMachine = (name: string): string => (name === '' ? '' : `, on ${name}`);

/** The cells of a row that a kind of machine has measured. */
const cellsOfRow = ({ cells }: MachineGroup, row: SuiteRow, cache?: CacheState): Cell[] =>
  cells.filter((cell) => cell.row.name === row.name && (cache === undefined || cell.cache === cache));

function tradeOffsOf(reported: ReportedSuite, row: SuiteRow, cache: CacheState, group: MachineGroup): TradeOffs {
  const { quantity, estimated } = reported.cost;
  const cells = cellsOfRow(group, row, cache);
  const { suffix } = group;
  const against = (cost: Quantity, isEstimated: boolean) =>
    tradeOffFigure({ row, cache, cells, suffix, accuracy: accuracyIn(cells), cost, isEstimated });
  const pair = [against(quantity, estimated), against(quantityCalled('trainingSeconds'), false)];
  return { cache, machine: group.name, pair: pair.flatMap((each) => each ?? []) };
}

function costs(reported: ReportedSuite, figures: DrawnFigures, row: SuiteRow, group: MachineGroup): Promise<Markup> {
  const { quantity, estimated } = reported.cost;
  const hasEnergy = quantity.unit === 'J';
  const title = hasEnergy ? 'Energy of each policy' : 'CPU seconds of each policy (energy: not measured)';
  const bars = costFigure(row, cellsOfRow(group, row), quantity, { title, estimated, suffix: group.suffix });
  const caption = [
    'Figure 2. Bars are means over seeds, lines on them reach from the least to the most.',
    ...(reported.hasCaches ? ['Full colour: with a cold cache; pale: with a warm one.'] : []),
    ...(hasEnergy ? [] : [`Energy: ${reported.energyNote}`]),
  ];
  return figures.show(`Cost${onMachine(group.name)}`, caption.join(' '), bars ? [bars] : []);
}

/** In words: the most accurate policy, and where the knees are. */
function verdict({ hasCaches }: ReportedSuite, leading: readonly Cell[], tradeOffs: readonly TradeOffs[]): string {
  const accuracy = accuracyIn(leading);
  const known = leading.filter((cell) => valuesOf(cell, accuracy).length > 0);
  const [best] = known.toSorted((a, b) => meanOf(valuesOf(b, accuracy)) - meanOf(valuesOf(a, accuracy)));
  if (!best) return '';
  const example = best.finished[0]?.result;
  const photos = example
    ? `${example.trainPhotos.toLocaleString('en-US')} photos to train with, ${example.valPhotos.toLocaleString('en-US')} to validate. `
    : '';
  const knees = tradeOffs.flatMap(({ cache, machine, pair }) =>
    pair.map(({ knee, figure }) => {
      const which = `${hasCaches ? ` (${cache} cache)` : ''}${onMachine(machine)}`;
      return `${figure.title.replace('Accuracy ', '')}${which}: ${knee ?? 'none'}`;
    }),
  );
  return `${photos}The most accurate is ${best.policy}, ${meanWithInterval(best, accuracy)}. The knee of accuracy ${knees.join('; ')}.`;
}
