import { inLines, type Markup } from '../../markup.js';
import { meanOf } from '../statistics.js';
import { type Cell, type Quantity, quantityCalled, valuesOf } from '../suiteResults.js';
import type { DrawnFigures } from './drawnFigures.js';
import type { Figure } from './figure.js';
import type { MachineGroup, ReportedSuite } from './reportedSuite.js';
import { growthFigure } from './suiteFigures.js';

/** What a cost may grow along. */
interface Axis {
  readonly name: string;
  readonly at: (cell: Cell) => number | undefined;
}

/** Time, CPU and memory along the number of photos and along whatever the suite varies. */
export async function growthSection(reported: ReportedSuite, figures: DrawnFigures): Promise<Markup> {
  const parts: Markup[] = [];
  for (const group of reported.groups) parts.push(await growthOn(group, reported, figures));
  return inLines(parts);
}

/** What one kind of machine has measured. */
async function growthOn(
  { name, suffix, cells }: MachineGroup,
  { suite }: ReportedSuite,
  figures: DrawnFigures,
): Promise<Markup> {
  const done = cells.filter(({ measured }) => measured.length > 0);
  const policies = [...new Set(suite.rows.flatMap((row) => row.policies))];
  const axes: readonly Axis[] = [
    { name: 'photos to train with', at: (cell) => cell.finished[0]?.result.trainPhotos },
    ...[...new Set(suite.rows.flatMap((row) => Object.keys(row.varied)))].map((key) => ({
      name: key,
      at: ({ row }: Cell) => (typeof row.varied[key] === 'number' ? row.varied[key] : undefined),
    })),
  ];
  const parts: Markup[] = [];
  for (const axis of axes) {
    if (new Set(done.map(axis.at)).size < 2) continue;
    const groups = groupsBesides(axis, axes, done, suite.caches.length > 1);
    const charts = ['trainingSeconds', 'cpuSeconds', 'peakRssMB']
      .map(quantityCalled)
      .flatMap((quantity) =>
        [...groups].flatMap(([where, group]) => chartOf(axis, quantity, where, group, policies) ?? []),
      )
      .map((figure) => ({ ...figure, name: `${figure.name}${suffix}` }));
    const title = `By ${axis.name}${name === '' ? '' : `, on ${name}`}`;
    parts.push(await figures.show(title, 'Points are means over seeds.', charts));
  }
  return inLines(parts);
}

/** Cells that are alike in everything but `axis`, by what that is. */
function groupsBesides(
  axis: Axis,
  axes: readonly Axis[],
  cells: readonly Cell[],
  hasCaches: boolean,
): Map<string, Cell[]> {
  const groups = new Map<string, Cell[]>();
  for (const cell of cells) {
    const others = axes.flatMap((other) => (other === axis ? [] : [`${other.name} ${other.at(cell) ?? '?'}`]));
    const key = [...(hasCaches ? [`${cell.cache} cache`] : []), ...others].join(', ');
    groups.set(key, [...(groups.get(key) ?? []), cell]);
  }
  return groups;
}

/** Undefined where there are fewer than two places along the axis. */
function chartOf(
  axis: Axis,
  quantity: Quantity,
  where: string,
  cells: readonly Cell[],
  policies: readonly string[],
): Figure | undefined {
  const points = cells.flatMap((cell) => {
    const [at, values] = [axis.at(cell), valuesOf(cell, quantity)];
    return at === undefined || values.length === 0 ? [] : [{ at, policy: cell.policy, value: meanOf(values) }];
  });
  if (new Set(points.map(({ at }) => at)).size < 2) return undefined;
  const name = `growth-${axis.name}-${quantity.key}-${where}`.replaceAll(/[^\w-]+/g, '-').replace(/-$/, '');
  return growthFigure({ name, axis: axis.name, points, policies, quantity, where });
}
