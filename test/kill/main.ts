import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { killCases } from './cases.js';
import { type Fault, killTest, type Row, type Span, type Way, ways } from './killTest.js';
import { makeScenery } from './scenery.js';

const HELP = `npm run test:kill -- [flags]

Ends each verb of the built command line (dist/) at random moments, and looks at how long it takes to end, at what it leaves behind, and
at what it comes to when it goes on. Each time and way has a row in the table; a fault is told with what repeats it.

  --times 30         tries for each case and way
  --seed 0           of the moments
  --only a,b         cases whose names begin so; as many as there are, unless it is given
  --how a,b          ways of ending: ${ways.join(', ')}
  --first 0          number of the first try; with --times 1, one try again
  --at MS, FROM-TO   moment of every try, in milliseconds after the start, or between which two it lies
  --lanes 2          tries that run at once; by default as many as there are cores, two at most
  --model M --data D train this model on these photos, in place of the embedded one on drawn pictures; the trainings' cases alone
  --size 12          drawn pictures a class; --scale 1: multiplies epochs
  --keep FOLDER      work there, keep the folders of tries that have faults; what is trained for all cases is found again there
  --json             the table and the faults as JSON`;

const { values } = parseArgs({
  options: {
    times: { type: 'string', default: '30' },
    seed: { type: 'string', default: '0' },
    only: { type: 'string' },
    how: { type: 'string', default: ways.join(',') },
    first: { type: 'string', default: '0' },
    at: { type: 'string' },
    lanes: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    model: { type: 'string' },
    data: { type: 'string' },
    size: { type: 'string', default: '12' },
    scale: { type: 'string', default: '1' },
    keep: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
if ((values.model === undefined) !== (values.data === undefined))
  throw new Error('expected --model and --data, or neither');
const isWay = (word: string): word is Way => ways.some((way) => way === word);
const how = values.how.split(',').map((word) => {
  if (isWay(word)) return word;
  throw new Error(`expected some of ${ways.join(',')}, got ${word} (--how)`);
});
function spanOf(text: string): Span {
  const [from = NaN, to = from] = text.split('-').map(Number);
  if (Number.isFinite(from) && from <= to) return { from, to };
  throw new Error(`expected milliseconds, or two with a - between them, got ${text} (--at)`);
}

const HEADINGS = [
  'case',
  'how',
  'tried',
  'finished before',
  'ended in time',
  'slowest ms',
  'orphans',
  'leftovers',
  'damaged',
  'other bits',
  'faults',
];

const tell = (line: string) => process.stderr.write(`${line}\n`);

const root = values.keep ? resolve(values.keep) : mkdtempSync(join(tmpdir(), 'ort-tl-kill-'));
const given =
  values.model === undefined || values.data === undefined
    ? {}
    : { model: resolve(values.model), data: resolve(values.data) };
try {
  tell('drawing pictures, and training what is exported and asked');
  const scenery = await makeScenery(join(root, 'scenery'), Number(values.size));
  const all = killCases({ scenery, scale: Number(values.scale), ...given });
  const only = values.only?.split(',') ?? all.map(({ name }) => name);
  const unknown = only.find((word) => !all.some(({ name }) => name.startsWith(word)));
  if (unknown !== undefined) throw new Error(`no case is called ${unknown}: ${all.map(({ name }) => name).join(', ')}`);
  const began = performance.now();
  const { rows, faults } = await killTest({
    cases: all.filter(({ name }) => only.some((word) => name.startsWith(word))),
    ways: how,
    times: Number(values.times),
    first: Number(values.first),
    seed: Number(values.seed),
    lanes: Number(values.lanes),
    ...(values.at === undefined ? {} : { at: spanOf(values.at) }),
    root,
    keep: values.keep !== undefined,
    onReference: ({ name }, ms) => tell(`${name}: ${(ms / 1000).toFixed(1)} s unbroken`),
    onRow: (row) => tell(`  ${line(row).join('  ')}`),
    onFault: ({ way, index, what }) => tell(`  ${way} ${index}: ${what.join('; ')}`),
  });
  const seconds = Math.round((performance.now() - began) / 1000);
  if (values.json) console.log(JSON.stringify({ seed: Number(values.seed), rows, faults, seconds }, null, 2));
  else {
    for (const each of table([HEADINGS, ...rows.map(line)])) console.log(each);
    for (const fault of faults) console.log(`\n${told(fault)}`);
    const tried = rows.reduce((sum, row) => sum + row.tried, 0);
    console.log(`\n${tried} tries of seed ${values.seed} in ${seconds} s, ${faults.length} with faults`);
  }
  process.exitCode = faults.length === 0 ? 0 : 1;
} finally {
  if (values.keep === undefined) rmSync(root, { recursive: true, force: true });
}

function told({ case: name, way, index, moment, what, words, output }: Fault): string {
  const extra = values.model === undefined ? '' : ` --model ${values.model} --data ${values.data ?? ''}`;
  return [
    `FAULT in ${name}, ${way}, try ${index}, ${Math.round(moment)} ms after its start:`,
    ...what.map((each) => `  - ${each}`),
    `  ort-tl ${words.join(' ')}`,
    ...output.split('\n').map((each) => `    | ${each}`),
    `  again: npm run test:kill -- --only ${name} --how ${way} --seed ${values.seed} --first ${index} --times 1 --at ${Math.round(moment)}${extra}`,
  ].join('\n');
}

function line(row: Row): string[] {
  const { case: name, way, tried, finished, inTime, slowestMs, orphans, leftovers, damaged, otherBits, faults } = row;
  return [
    name,
    way,
    ...[tried, finished, inTime, slowestMs, orphans, leftovers, damaged, otherBits, faults].map(String),
  ];
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
}
