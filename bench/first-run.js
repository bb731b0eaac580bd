// Trains policies × seeds, each in a process of its own, one after another, and writes a table.
//   node bench/first-run.js --model M --data D --policies F1C0,F1C1 --seeds 0,1,2 --epochs 10 --title T --out bench/results/T.md [-- further flags of ort-tl train]
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: 'models/small_cnn.onnx' },
    data: { type: 'string', default: 'runs/demo/pictures' },
    policies: { type: 'string', default: 'F1C0,F1C1' },
    seeds: { type: 'string', default: '0,1,2' },
    epochs: { type: 'string', default: '10' },
    title: { type: 'string', default: 'first run' },
    out: { type: 'string' },
  },
});
const cli = fileURLToPath(new URL('../dist/bin/start.cjs', import.meta.url));
const seeds = values.seeds.split(',');
/** @param {readonly number[]} numbers */
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
/** What `ort-tl train --json` prints, as far as it is told here. */
const summarySchema = z.object({
  top1: z.number(),
  elapsedMs: z.number(),
  peakRssBytes: z.number(),
  verified: z.object({ agreeing: z.number(), photos: z.number() }),
});

/** @type {string[][]} */
const rows = [];
for (const policy of values.policies.split(',')) {
  const runs = seeds.map((seed) => {
    const out = mkdtempSync(join(tmpdir(), 'ort-tl-bench-'));
    const flags = [
      '--model',
      values.model,
      '--data',
      values.data,
      '--policy',
      policy,
      '--epochs',
      values.epochs,
      '--seed',
      seed,
      // The exported model is run again on every validation photo, and every run decodes its photos.
      '--verify',
      '100000',
      '--no-cache',
    ];
    const json = execFileSync(process.execPath, [cli, 'train', ...flags, '--out', out, '--json', ...positionals], {
      encoding: 'utf8',
      maxBuffer: 1e9,
    });
    const [heading = '', ...lines] = readFileSync(join(out, 'results.csv'), 'utf8').trim().split('\n');
    const column = heading.split(',').indexOf('elapsedMs');
    const epochMs = lines.map((line) => Number(line.split(',')[column]));
    rmSync(out, { recursive: true });
    const summary = summarySchema.parse(JSON.parse(json));
    console.error(`${policy} seed ${seed}: top-1 ${summary.top1}, ${Math.round(summary.elapsedMs / 1000)} s`);
    return { ...summary, first: epochMs[0] ?? NaN, later: median(epochMs.slice(1)) };
  });
  const top1 = runs.map((run) => 100 * run.top1);
  rows.push([
    policy,
    top1.map((value) => value.toFixed(1)).join(', '),
    (top1.reduce((a, b) => a + b, 0) / top1.length).toFixed(2),
    (median(runs.map((run) => run.elapsedMs)) / 1000).toFixed(1),
    (median(runs.map((run) => run.first)) / 1000).toFixed(2),
    (median(runs.map((run) => run.later)) / 1000).toFixed(3),
    median(runs.map((run) => run.first / run.later)).toFixed(0),
    Math.round(Math.max(...runs.map((run) => run.peakRssBytes)) / 1e6).toString(),
    runs.map((run) => `${run.verified.agreeing}/${run.verified.photos}`).join(', '),
  ]);
}
const headings = [
  'policy',
  'top-1 % by seed',
  'mean',
  'whole run s',
  'first epoch s',
  'later epoch s',
  'first/later',
  'peak memory MB',
  'exported model agrees',
];
/** @param {readonly string[]} cells */
const line = (cells) => `| ${cells.join(' | ')} |`;
const command = `node bench/first-run.js --model ${basename(values.model)} --data ${basename(values.data)} --policies ${values.policies} --seeds ${values.seeds} --epochs ${values.epochs}${positionals.length ? ` -- ${positionals.join(' ')}` : ''}`;
const { version } = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL('../node_modules/onnxruntime-node/package.json', import.meta.url), 'utf8')));
const text = `# ${values.title}

Made by \`${command}\` on ${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), Node ${process.version}, onnxruntime-node ${version},
${new Date().toISOString().slice(0, 10)}. Times are medians over the seeds; the first epoch includes decoding and the frozen part, the whole run also
compiling, writing and running the exported model again on the validation photos.

${[line(headings), line(headings.map(() => '---')), ...rows.map(line)].join('\n')}
`;
if (values.out) writeFileSync(values.out, text);
console.log(text);
