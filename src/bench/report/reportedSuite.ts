import { interval95, meanOf } from '../statistics.js';
import type { CacheState, Suite, SuiteRow } from '../suite.js';
import {
  type Cell,
  cellsOf,
  cellsOn,
  costQuantity,
  machinesOf,
  type Quantity,
  type SuiteResults,
  valuesOf,
} from '../suiteResults.js';
import { significant } from '../table.js';

/** What one kind of machine has measured: times, memory and energy are told of each apart. */
export interface MachineGroup {
  /** Empty where there is one kind alone, which need not be named. */
  readonly name: string;
  /** Ends the names of its charts' files. */
  readonly suffix: string;
  readonly cells: readonly Cell[];
}

/** What all sections of a report tell of a suite: its cells, and how their numbers are written. */
export class ReportedSuite {
  readonly suite: Suite;
  readonly cells: readonly Cell[];
  /** By kind of machine; one group for all cells where one kind alone has run them. */
  readonly groups: readonly MachineGroup[];
  /** What is told as the cost of a policy. */
  readonly cost: { readonly quantity: Quantity; readonly estimated: boolean };
  /** Rows of which at least one run is finished. */
  readonly rowsDone: readonly SuiteRow[];

  constructor(readonly results: SuiteResults) {
    this.suite = results.suite;
    this.cells = cellsOf(results);
    this.groups = groupsOf(results, this.cells);
    this.cost = costQuantity(this.groups.flatMap(({ cells }) => cells));
    this.rowsDone = this.suite.rows.filter((row) => this.cellsOfRow(row).some(({ finished }) => finished.length > 0));
  }

  get hasMachines(): boolean {
    return this.groups.length > 1;
  }

  get hasCaches(): boolean {
    return this.suite.caches.length > 1;
  }

  cellsOfRow(row: SuiteRow, cache?: CacheState): Cell[] {
    return this.cells.filter((cell) => cell.row.name === row.name && (cache === undefined || cell.cache === cache));
  }

  /** The cells whose accuracies are told: those with a warm cache are the same. */
  leading(row: SuiteRow): Cell[] {
    const cache = this.suite.caches.find((each) =>
      this.cellsOfRow(row, each).some(({ finished }) => finished.length > 0),
    );
    return this.cellsOfRow(row, cache ?? 'cold');
  }

  /** A quantity with its unit, as a heading. */
  headingOf(quantity: Quantity): string {
    const estimated = quantity.unit === 'J' && this.cost.estimated ? ', estimated' : '';
    return `${quantity.title}${estimated}${quantity.unit === '' ? '' : `, ${quantity.unit}`}`;
  }

  /** How energy was measured, or what stands in its place and why. */
  get energyNote(): string {
    const { quantity, estimated } = this.cost;
    if (quantity.unit === 'J') {
      const which = quantity.key === 'netJ' ? 'net of what the idle machine draws' : 'gross, of the whole machine';
      return `${estimated ? 'estimated from CPU seconds, not measured' : 'measured'}, in joules, ${which}, of the whole process.`;
    }
    const reason = this.results.outcomes.flatMap(({ result }) => result?.energyNotMeasured ?? [])[0];
    return `not measured${reason === undefined ? '' : ` (${reason})`}; in its place stand the ${quantity.title === 'CPU' ? 'CPU seconds' : 'seconds'} of the whole process.`;
  }
}

function groupsOf(results: SuiteResults, cells: readonly Cell[]): MachineGroup[] {
  const machines = machinesOf(results);
  if (machines.length <= 1) return [{ name: '', suffix: '', cells }];
  return machines.map((name, index) => ({ name, suffix: `-machine-${index + 1}`, cells: cellsOn(cells, name) }));
}

/** The mean over the runs of a cell, and half of its interval. */
export function meanWithInterval(cell: Cell, quantity: Quantity): string {
  const values = valuesOf(cell, quantity);
  if (values.length === 0) {
    if (cell.finished.length === 0) return 'not run';
    return cell.measured.length === 0 && !quantity.isOfLearning ? 'by machine' : absent(quantity);
  }
  return `${significantOf(quantity, meanOf(values))}${halfInterval(values)}${quantity.unit === '%' ? ' %' : ''}`;
}

/** ` ± 1.2`: half of Student's interval of 95 %; empty where there are too few values for one. */
export function halfInterval(values: readonly number[]): string {
  const interval = interval95(values);
  return interval ? ` ± ${significant(interval.high - interval.mean, 2)}` : '';
}

/** What is told in place of a quantity that a finished run does not have. */
export const absent = ({ key, unit }: Quantity): string =>
  key === 'epochsToTarget' || key === 'secondsToTarget' ? 'never' : unit === 'J' ? 'not measured' : 'unknown';

export function significantOf({ unit }: Quantity, value: number): string {
  return unit === '%' ? value.toFixed(1) : significant(value);
}
