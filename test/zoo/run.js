// Trains every model of a folder by several policies and writes docs/models.md.
//   npm run zoo -- FOLDER [NAME …]      (make the folder with test/zoo/make-models.py)
import { execFile } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { drawPictures } from '../../dist/index.js';

const [folder = '', ...only] = process.argv.slice(2);
if (folder === '') throw new Error('usage: npm run zoo -- FOLDER [NAME …]');
const root = new URL('../../', import.meta.url);
const policies = ['F1C0', 'F1C1', 'F1C3', 'full'];
const script = fileURLToPath(new URL('try-model.js', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'ort-tl-zoo-'));
const pictures = join(work, 'pictures');
// Four classes of five pictures to train with, and as many to validate.
await drawPictures(pictures, { set: 'demo', trainPerClass: 5, valPerClass: 5, size: 64, seed: 3 });
for (const part of ['train', 'val']) {
  for (const name of readdirSync(join(pictures, part)).sort().slice(4))
    rmSync(join(pictures, part, name), { recursive: true });
}

const models = readdirSync(folder)
  .filter((name) => name.endsWith('.onnx') && (only.length === 0 || only.some((part) => name.includes(part))))
  .sort();
const jobs = models.flatMap((name) => policies.map((policy) => ({ name, policy })));
/** What try-model.js prints of a model and a policy, or why it printed nothing. */
const resultSchema = z.union([
  z.object({ refused: z.string() }),
  z.object({ broken: z.string() }),
  z.object({
    compileMs: z.number(),
    losses: z.array(z.number()),
    verified: z.object({ agreeing: z.number(), photos: z.number() }),
    peakRssBytes: z.number(),
  }),
]);
/** @typedef {z.infer<typeof resultSchema>} Result */
const doneSchema = resultSchema.and(z.object({ job: z.string() }));
// What was tried already stands beside the models, a line each; delete that file to try all anew.
const log = join(folder, 'results.jsonl');
const done = existsSync(log)
  ? readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => doneSchema.parse(JSON.parse(line)))
  : [];
const results = new Map(done.map(({ job, ...result }) => [job, result]));
const next = jobs.values();

/**
 * Tries one after another; two of these run side by side, each with one thread.
 * @param {number} number
 */
async function tryJobs(number) {
  for (const { name, policy } of next) {
    if (results.has(`${name} ${policy}`)) continue;
    const out = join(work, `run-${number}`);
    /** @type {Result} */
    let result;
    try {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [script, join(folder, name), policy, pictures, out],
        {
          timeout: 1_800_000,
        },
      );
      result = resultSchema.parse(JSON.parse(lastLine(stdout)));
    } catch (thrown) {
      result = { broken: lastLine(complaintOf(thrown)) };
    }
    rmSync(out, { recursive: true, force: true });
    results.set(`${name} ${policy}`, result);
    appendFileSync(log, `${JSON.stringify({ job: `${name} ${policy}`, ...result })}\n`);
    console.log(`${name} ${policy}: ${toldOf(result)}`);
  }
}

/** @param {string} text */
function lastLine(text) {
  return text.trim().split('\n').at(-1) ?? '';
}

/**
 * What a process that failed has printed to say why.
 * @param {unknown} thrown
 */
function complaintOf(thrown) {
  if (!(thrown instanceof Error)) return String(thrown);
  return 'stderr' in thrown && typeof thrown.stderr === 'string' && thrown.stderr !== ''
    ? thrown.stderr
    : thrown.message;
}

/** @param {Result} result */
function toldOf(result) {
  if ('refused' in result) return result.refused;
  if ('broken' in result) return result.broken;
  const { compileMs, losses, verified, peakRssBytes } = result;
  return `compiled in ${Math.round(compileMs)} ms, loss ${firstOf(losses).toFixed(3)} → ${lastOf(losses).toFixed(3)}, agrees ${verified.agreeing}/${verified.photos}, ${Math.round(peakRssBytes / 1e6)} MB`;
}

/** @param {readonly number[]} losses */
function firstOf(losses) {
  return losses[0] ?? NaN;
}

/** @param {readonly number[]} losses */
function lastOf(losses) {
  return losses.at(-1) ?? NaN;
}

await Promise.all([tryJobs(1), tryJobs(2)]);
rmSync(work, { recursive: true });

const counts = { trained: 0, refused: 0, wrong: 0 };
for (const { name, policy } of jobs) {
  const result = results.get(`${name} ${policy}`) ?? { broken: 'not tried' };
  if ('refused' in result) counts.refused++;
  else if ('losses' in result && lastOf(result.losses) < firstOf(result.losses) && agrees(result)) counts.trained++;
  else counts.wrong++;
}

/** @param {Pick<Extract<Result, { verified: object }>, 'verified'>} result */
function agrees({ verified }) {
  return verified.agreeing === verified.photos;
}

/** @param {Result} result */
const cell = (result) => {
  if ('refused' in result)
    return `refused: ${result.refused
      .replaceAll(folder, '')
      .replace(/\S*\/(?=model\.onnx)/g, '')
      .replaceAll('|', '\\|')}`;
  if ('broken' in result) return `**broken**: ${result.broken.replaceAll('|', '\\|')}`;
  const { compileMs, losses, verified, peakRssBytes } = result;
  const { agreeing, photos } = verified;
  const agreement = agreeing === photos ? `${agreeing}/${photos}` : `**${agreeing}/${photos}**`;
  const fall = `${firstOf(losses).toFixed(2)} → ${lastOf(losses).toFixed(2)}`;
  const trains = lastOf(losses) < firstOf(losses) ? fall : `**${fall}**`;
  return `${Math.round(compileMs)} ms; ${trains}; ${agreement}; ${Math.round(peakRssBytes / 1e6)} MB`;
};
/**
 * The architecture and its exporter, as in `resnet18-torchscript`.
 * @param {string} name
 */
const parts = (name) => /^(.*)-([^-]*)$/.exec(basename(name, '.onnx'))?.slice(1) ?? [basename(name, '.onnx'), ''];
const table = [
  ['model', 'exporter', ...policies],
  ['---', '---', ...policies.map(() => '---')],
  ...models.map((name) => [
    ...parts(name),
    ...policies.map((policy) => cell(results.get(`${name} ${policy}`) ?? { broken: 'not tried' })),
  ]),
];
/** @param {string} path */
const versionOf = (path) =>
  z.object({ version: z.string() }).parse(JSON.parse(readFileSync(new URL(path, root), 'utf8'))).version;
const text = `# Models that were tried

Public architectures with seeded random weights, exported as \`test/zoo/make-models.py\` says (its requirements beside it name the
versions; \`torchscript\` and \`torch\` are the old and the new exporter of PyTorch, \`tf2onnx\` is Keras' own), each trained by four
policies on twenty drawn pictures, ten epochs of two steps with LAMB (learning rate 2e-3, full 3e-4), in a process of its own with one thread. A cell tells how long
compiling took, the training loss of the first and the last epoch, on how many of twenty validation pictures the exported model, in a
plain session, gave the class of the evaluation that chose it, and the whole process's peak memory.
[Files as packages ship them](real-files.md) are on a page of their own.

Made by \`npm run zoo -- FOLDER\` on ${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), Node ${process.version}, onnxruntime-node ${versionOf('node_modules/onnxruntime-node/package.json')}, ort-tl
${versionOf('package.json')}, ${new Date().toISOString().slice(0, 10)}: ${counts.trained} trained, ${counts.refused} refused, ${counts.wrong} wrong.

${table.map((row) => `| ${row.join(' | ')} |`).join('\n')}
`;
if (only.length === 0) {
  mkdirSync(new URL('docs/', root), { recursive: true });
  const page = new URL('docs/models.md', root);
  // What steps_table.py writes stays.
  const [, transformers = ''] =
    /(\n## Transformers\n[^]*)$/.exec(existsSync(page) ? readFileSync(page, 'utf8') : '') ?? [];
  writeFileSync(page, text + transformers);
}
console.log(`${counts.trained} trained, ${counts.refused} refused, ${counts.wrong} wrong`);
