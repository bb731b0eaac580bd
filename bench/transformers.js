// Steps of transformers beside PyTorch's on the same machine, each in a process of its own, in interleaved rounds; prints a report.
//   npm run build && node bench/transformers.js PYTHON FOLDER [deit_tiny,vit_b16] [ROUNDS] > bench/results/transformers.md
// PYTHON has test/zoo/requirements-transformers.txt; FOLDER is what test/zoo/make_transformers.py made. PyTorch's slower modes run once.
import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { median } from '../dist/bench/statistics.js';
import { markdownTable, significant } from '../dist/bench/table.js';

const [python = '', folder = '', names = 'deit_tiny,vit_b16', rounds = '3'] = process.argv.slice(2);
if (folder === '') throw new Error('usage: node bench/transformers.js PYTHON FOLDER [NAMES] [ROUNDS]');
const STEPS = 5;
/** Images a batch. */
const BATCH = new Map([
  ['deit_tiny', 16],
  ['vit_b16', 8],
]);
const MODES = ['eager', 'bf16', 'compile', 'compile-bf16'];

/** @typedef {{ step: number, cached?: number, peakMB: number }} Measured milliseconds a step; `cached`: without the frozen part */
const spread = z.object({ median: z.number() });
const ownSchema = z.object({ stepMs: spread, trainedStepMs: spread, peakRssBytes: z.number() });
const peerSchema = z.object({ stepMs: z.number(), peakRssBytes: z.number(), torch: z.string() });

/** @type {(command: string, args: readonly string[]) => unknown} */
const jsonOf = (command, args) =>
  JSON.parse(
    execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .split('\n')
      .at(-1) ?? '',
  );

/** @type {(name: string, policy: string) => readonly string[]} */
const settingsOf = (name, policy) => ['--policy', policy, '--batch', String(BATCH.get(name)), '--steps', String(STEPS)];

/** @type {(name: string, policy: string) => Measured} */
function own(name, policy) {
  const script = join(import.meta.dirname, 'peers', 'ort-tl.js');
  const model = join(folder, `${name}-ts17-dynamic.onnx`);
  const printed = jsonOf(process.execPath, [script, 'steps', '--model', model, ...settingsOf(name, policy)]);
  const { stepMs, trainedStepMs, peakRssBytes } = ownSchema.parse(printed);
  return { step: stepMs.median, cached: trainedStepMs.median, peakMB: peakRssBytes / 1e6 };
}

let torch = '';
/** @type {(name: string, policy: string, mode: string) => Measured} */
function peer(name, policy, mode) {
  const script = join(import.meta.dirname, 'transformers.py');
  const result = peerSchema.parse(jsonOf(python, [script, name, ...settingsOf(name, policy), '--mode', mode]));
  torch = result.torch;
  return { step: result.stepMs, peakMB: result.peakRssBytes / 1e6 };
}

/** @param {number[]} times */
const shown = (times) =>
  times.length === 1
    ? significant(times[0] ?? NaN, 3)
    : `${significant(median(times), 3)} (${significant(Math.min(...times), 3)} to ${significant(Math.max(...times), 3)})`;

/** @type {string[][]} */
const rows = [];
for (const name of names.split(','))
  for (const policy of ['F1C0', 'blocks:2', 'full']) {
    /** @type {Map<string, Measured[]>} */
    const measured = new Map();
    /** @type {(what: string, result: Measured) => void} */
    const add = (what, result) => void measured.set(what, [...(measured.get(what) ?? []), result]);
    add('ort-tl', own(name, policy));
    for (const mode of MODES) add(mode, peer(name, policy, mode));
    const stepOf = (/** @type {string} */ what) => median((measured.get(what) ?? []).map(({ step }) => step));
    const best = MODES.toSorted((a, b) => stepOf(a) - stepOf(b))[0] ?? '';
    const bestFloat = ['eager', 'compile'].toSorted((a, b) => stepOf(a) - stepOf(b))[0] ?? '';
    for (let round = 2; round <= Number(rounds); round++) {
      add('ort-tl', own(name, policy));
      for (const mode of new Set([best, bestFloat])) add(mode, peer(name, policy, mode));
    }
    const cachedOf = () => median((measured.get('ort-tl') ?? []).map(({ cached = NaN }) => cached));
    for (const [what, results] of measured) {
      const cached = results.flatMap((each) => (each.cached === undefined || policy === 'full' ? [] : [each.cached]));
      rows.push([
        name,
        policy,
        String(BATCH.get(name)),
        what === 'ort-tl' ? what : `PyTorch, ${what}`,
        shown(results.map(({ step }) => step)),
        cached.length > 0 ? shown(cached) : '',
        what === 'ort-tl' ? '' : significant(stepOf(what) / (policy === 'full' ? stepOf('ort-tl') : cachedOf()), 3),
        significant(median(results.map(({ peakMB }) => peakMB)), 3),
      ]);
      console.error(rows.at(-1)?.join(' | '));
    }
  }

console.log(`# Transformers beside PyTorch

Made by \`node bench/transformers.js PYTHON FOLDER ${names} ${rounds}\` on ${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}),
Node ${process.version}, torch ${torch}, ${new Date().toISOString().slice(0, 10)}. Milliseconds a step of one batch, medians of ${STEPS} steps, and over the
rounds where there are several (smallest to largest). A cached step is one of a later epoch: the frozen part's results are kept. The
ratio is PyTorch's step by ort-tl's cached one, for \`full\` by its whole one: how many times faster ort-tl is.
`);
console.log(
  markdownTable(
    ['model', 'policy', 'batch', 'what', 'step, frozen part inside', 'cached step', 'ratio', 'peak memory MB'],
    rows,
  ),
);
