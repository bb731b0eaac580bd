// npm run test:kill -- [--times 30] [--seed 0] [--only train-F1C1,bench] [--how int,term,kill,group,twice,limit] [--first 0] [--at MS]
//   [--model M --data D] [--size 100] [--scale 1] [--keep FOLDER] [--json]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { killCases } from './cases.js';
import { type Fault, killTest, type Row, type Way, ways } from './killTest.js';
import { makeScenery } from './scenery.js';

const { values } = parseArgs({
  options: {
    times: { type: 'string', default: '30' },
    seed: { type: 'string', default: '0' },
    only: { type: 'string' },
    how: { type: 'string', default: ways.join(',') },
    first: { type: 'string', default: '0' },
    at: { type: 'string' },
    model: { type: 'string' },
    data: { type: 'string' },
    size: { type: 'string', default: '100' },
    scale: { type: 'string', default: '1' },
    keep: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
if ((values.model === undefined) !== (values.data === undefined))
  throw new Error('expected --model and --data, or neither');
const isWay = (word: string): word is Way => ways.some((way) => way === word);
const how = values.how.split(',').map((word) => {
  if (isWay(word)) return word;
  throw new Error(`expected some of ${ways.join(',')}, got ${word} (--how)`);
});
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
    ...(values.at === undefined ? {} : { at: Number(values.at) }),
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
