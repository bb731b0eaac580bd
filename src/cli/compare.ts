import { join } from 'node:path';
import { checkPlace } from '../files.js';
import {
  type ComparedQuantity,
  comparedQuantities,
  compareRuns,
  type Comparison,
  comparisonPage,
  type ComparisonTable,
  type Mean,
  readRuns,
  runFilesIn,
  UserError,
  writeFileAtomically,
} from '../internal.js';
import { shared } from './sharedFlags.js';
import { table, Terminal } from './terminal.js';
import type { Verb } from './verb.js';

interface Arguments {
  runs: string[] | undefined;
  html: string | undefined;
  json: boolean;
  quiet: boolean;
}

/** What a quantity is called, and how it is shown. */
const SHOWN: Readonly<Record<ComparedQuantity, { title: string; scale: number; digits: number }>> = {
  top1: { title: 'top-1 %', scale: 100, digits: 1 },
  map: { title: 'mAP %', scale: 100, digits: 1 },
  valLoss: { title: 'loss', scale: 1, digits: 4 },
  macroF1: { title: 'macro F1 %', scale: 100, digits: 1 },
  bestEpoch: { title: 'best epoch', scale: 1, digits: 1 },
  seconds: { title: 'seconds', scale: 1, digits: 1 },
  peakRssBytes: { title: 'memory MB', scale: 1e-6, digits: 0 },
  energyJ: { title: 'J', scale: 1, digits: 0 },
  trainableParameters: { title: 'trained', scale: 1, digits: 0 },
  modelBytes: { title: 'model MB', scale: 1e-6, digits: 2 },
};

/** What a suite keeps its results in. */
const RECORDS = 'results.jsonl';

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .positional('runs', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: "folders of runs, and suites' folders or their results.jsonl",
      })
      .option('html', { type: 'string', requiresArg: true, describe: 'also write a page with curves to this file' })
      .option('json', shared.json)
      .option('quiet', shared.quiet)
      .example('$0 compare runs/first runs/second', 'side by side, the others against the first')
      .example('$0 compare runs/F1C0-seed* runs/F1C1-seed*', 'means and differences over seeds, with intervals')
      .example('$0 compare runs/* --html comparison.html', ''),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const given = args.runs ?? [];
    const inputs = given.flatMap((path) => [path, ...[RECORDS, ...runFilesIn(path)].map((name) => join(path, name))]);
    if (args.html !== undefined) await checkPlace(args.html, 'file', inputs);
    const runs = given.flatMap((path) => readRuns(path));
    if (runs.length < 2) throw new UserError('bad-arguments', 'expected two runs or more to compare');
    const comparison = compareRuns(runs);
    const tables = tablesOf(comparison);
    for (const { title, rows } of tables) {
      terminal.result(title, 'bold');
      for (const line of table(rows)) terminal.result(line);
      terminal.result();
    }
    if (args.html !== undefined) {
      await writeFileAtomically(args.html, await comparisonPage(comparison, tables));
      terminal.print(args.html);
    }
    terminal.json(comparison);
  },
};

function tablesOf({ groups, settings, differences }: Comparison): ComparisonTable[] {
  const present = comparedQuantities.filter((quantity) => groups.some(({ values }) => values[quantity]));
  const headings = present.map((quantity) => SHOWN[quantity].title);
  const cells = (values: Comparison['groups'][number]['values'], signed: boolean) =>
    present.map((quantity) => show(quantity, values[quantity], signed));
  const tables: ComparisonTable[] = [
    {
      title: 'Runs, mean over seeds and 95 % interval',
      rows: [
        ['runs', 'seeds', ...headings],
        ...groups.map(({ label, runs, values }) => [
          label,
          [...new Set(runs.map(({ seed }) => seed))].join(','),
          ...cells(values, false),
        ]),
      ],
    },
  ];
  const [first] = groups;
  if (first && differences.length > 0)
    tables.push({
      title: `Difference from ${first.label}, seed by seed where two or more are common`,
      rows: [
        ['runs', 'pairs', ...headings],
        ...differences.map(({ group, pairs, values }) => [group, String(pairs), ...cells(values, true)]),
      ],
    });
  const names = Object.keys(settings);
  if (names.length > 0)
    tables.push({
      title: 'Settings that differ',
      rows: [
        ['setting', ...groups.map(({ label }) => label)],
        ...names.map((name) => [name, ...(settings[name] ?? []).map((value) => (value === '' ? '-' : value))]),
      ],
    });
  return tables;
}

/** `92.3 ± 0.4`; of one value alone there is no interval. */
function show(quantity: ComparedQuantity, value: Mean | undefined, signed: boolean): string {
  if (!value) return '-';
  const { scale, digits } = SHOWN[quantity];
  const text = (number: number) => (number * scale).toFixed(digits);
  const sign = signed && value.mean > 0 ? '+' : '';
  const half = value.high !== null && value.low !== null ? (value.high - value.low) / 2 : undefined;
  return `${sign}${text(value.mean)}${half === undefined ? '' : ` ± ${text(half)}`}`;
}
