import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { killCases } from './cases.js';
import { pulling, startHub } from './pulling.js';
import { killTest, type Span, type Way, ways } from './killTest.js';
import { cellsOf, linesOf, type Piece, readPiece } from './report.js';
import { makeScenery } from './scenery.js';

const HELP = `npm run test:kill -- [flags]

Ends each verb of the built command line (dist/) at random moments, and looks at how long it takes to end, at what it leaves behind, and
at what it comes to when it goes on. Each case and way has a row in the table; a fault is told with what repeats it.

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
  --json             what it found as JSON, on standard output
  --sum a.json,b.json  runs nothing: the table and the faults of several calls with --json, as one

All cases thirty times take more than an hour on two quiet cores. In pieces, each with other cases or other tries:

  node test/kill/run.js --only train- --json > a.json
  node test/kill/run.js --only demo --times 15 --json > b.json
  node test/kill/run.js --only demo --first 15 --times 15 --json > c.json
  node test/kill/run.js --sum a.json,b.json,c.json`;

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
    sum: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
if (values.sum !== undefined) {
  const pieces = values.sum.split(',').map(readPiece);
  for (const each of linesOf(pieces)) console.log(each);
  process.exit(pieces.every(({ faults }) => faults.length === 0) ? 0 : 1);
}
if ((values.model === undefined) !== (values.data === undefined))
  throw new Error('expected --model and --data, or neither');
const isWay = (word: string): word is Way => ways.some((way) => way === word);
const how = values.how.split(',').map((word) => {
  if (isWay(word)) return word;
  throw new Error(`expected some of ${ways.join(',')}, got ${word} (--how)`);
});
/** What repeats a try beside its case, way and moment. */
function flagsOf({ model, data }: { readonly model?: string; readonly data?: string }): string {
  const place = model === undefined || data === undefined ? '' : ` --model ${model} --data ${data}`;
  return `${place} --size ${values.size} --scale ${values.scale}`;
}

function spanOf(text: string): Span {
  const [from = NaN, to = from] = text.split('-').map(Number);
  if (Number.isFinite(from) && from <= to) return { from, to };
  throw new Error(`expected milliseconds, or two with a - between them, got ${text} (--at)`);
}

const tell = (line: string) => process.stderr.write(`${line}\n`);

const root = values.keep ? resolve(values.keep) : mkdtempSync(join(tmpdir(), 'ort-tl-kill-'));
const given =
  values.model === undefined || values.data === undefined
    ? {}
    : { model: resolve(values.model), data: resolve(values.data) };
const hub = await startHub();
try {
  tell('drawing pictures, and training what is exported and asked');
  const scenery = await makeScenery(join(root, 'scenery'), Number(values.size));
  const all = killCases({ scenery, scale: Number(values.scale), ...given });
  if (values.model === undefined) all.push(pulling(hub));
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
    onRow: (row) => tell(`  ${cellsOf(row).join('  ')}`),
    onFault: ({ way, index, what }) => tell(`  ${way} ${index}: ${what.join('; ')}`),
  });
  const seconds = Math.round((performance.now() - began) / 1000);
  const piece: Piece = { seed: Number(values.seed), rows, faults, seconds, flags: flagsOf(given) };
  if (values.json) console.log(JSON.stringify(piece, null, 2));
  else for (const each of linesOf([piece])) console.log(each);
  process.exitCode = faults.length === 0 ? 0 : 1;
} finally {
  await hub.stop();
  if (values.keep === undefined) rmSync(root, { recursive: true, force: true });
}
