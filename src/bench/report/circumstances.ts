import { type Markup, markup } from '../../markup.js';
import type { CacheState } from '../suite.js';
import { machinesOf, quantities, type SuiteResults } from '../suiteResults.js';
import { bulletList, percent, termList } from './dataTable.js';

/** What one must know of a suite at first sight. */
export function atFirstSight(results: SuiteResults): Markup {
  const { outcomes, machine, energy, suite } = results;
  const machines = machinesOf(results);
  const finished = outcomes.filter(({ result }) => result).length;
  const last = outcomes
    .flatMap(({ at }) => at ?? [])
    .sort()
    .at(-1);
  const seeds = new Set(suite.rows.flatMap((row) => row.seeds)).size;
  const facts: readonly (readonly [string, string])[] = [
    [
      'Runs',
      `${finished} of ${outcomes.length} finished${last === undefined ? '' : `, the last on ${last.slice(0, 10)}`}`,
    ],
    ['Seeds', `${seeds === 1 ? 'one' : seeds}${suite.repeat > 1 ? `, each ${suite.repeat} times` : ''}`],
    ...(machines.length > 1
      ? [['Machines', `${machines.length} kinds, told apart below`] as const]
      : [
          ['Machine', `${machine.processor}, ${machine.cores} cores, ${gigabytes(machine.memoryBytes)}`] as const,
          ['Energy', energy.startsWith('not measured') ? 'not measured; why is told below' : energy] as const,
        ]),
  ];
  return markup`<dl class="facts">${facts.map(([what, told]) => markup`<div><dt>${what}</dt><dd>${told}</dd></div>`)}</dl>`;
}

/** Rows, runs and records that the report does not tell of. Empty where there are none. */
export function missingSection({ suite, outcomes, otherRecords }: SuiteResults): Markup {
  const failed = outcomes.filter(({ result, error }) => !result && error !== undefined);
  const left = outcomes.filter(({ result, error }) => !result && error === undefined).length;
  const items = [
    ...suite.rows.flatMap(({ title, missing }) => (missing === undefined ? [] : [`${title}: ${missing}`])),
    ...failed.map(({ run, error }) => `${run.id} failed: ${error ?? ''}`),
    ...(left > 0 ? [`${left} runs were not made yet; the same command goes on with them`] : []),
    ...(otherRecords > 0
      ? [`${otherRecords} records of results.jsonl are of other settings, files or machines, and are not told of here`]
      : []),
  ];
  return items.length === 0 ? markup`` : bulletList(items);
}

/** How the suite was measured, and what the columns of the tables mean. */
export function methodSection(results: SuiteResults): Markup {
  const notes = [...new Set(results.outcomes.flatMap(({ result }) => result?.notes ?? []))];
  const known = quantities.filter(
    ({ key }) => key !== 'mapPercent' || results.outcomes.some(({ result }) => result?.map !== undefined),
  );
  const columns = known.map(({ title, unit, what }) => [unit === '' ? title : `${title}, ${unit}`, what] as const);
  return markup`${termList([...conditions(results), ...targets(results)])}${notes.length > 0 ? bulletList(notes) : ''}
<h3>What the columns mean</h3>${termList(columns)}`;
}

function conditions(results: SuiteResults): [string, string][] {
  const { machine, energy, suite } = results;
  const machines = machinesOf(results);
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  const warmUp = suite.warmUp ? 'a warm-up that is not measured reads all photos of each row first' : 'no warm-up';
  const here: [string, string][] = [
    ['Processor', `${machine.processor}, ${machine.cores} cores`],
    ['Memory', gigabytes(machine.memoryBytes)],
    ['System', machine.system],
    ['Versions', versions.join(', ')],
    ['Energy', energy],
  ];
  return [
    ...(machines.length > 1 ? machines.map((name, index): [string, string] => [`Machine ${index + 1}`, name]) : here),
    ['Cache of features', suite.caches.map((cache) => CACHES[cache]).join('; ')],
    ['Order', `seed by seed, within one in an order drawn with seed ${suite.order}; ${warmUp}`],
  ];
}

function targets({ suite }: SuiteResults): [string, string][] {
  const byData = new Map(suite.rows.map(({ data }) => [data.title, data.target]));
  return [...byData].map(([title, target]) => [
    `Target, ${title}`,
    target === 'baseline' ? `the best top-1 of ${suite.baseline} with the same seed` : percent(100 * target),
  ]);
}

const CACHES: Readonly<Record<CacheState, string>> = {
  cold: 'cold, each run begins with an empty one',
  warm: 'warm, filled before the run is measured',
};

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
