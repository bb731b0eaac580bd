// Trains every model file of a folder, as packages ship them, by several policies and writes docs/real-files.md.
//   python test/zoo/real_files.py FOLDER && npm run build && node test/zoo/real-files.js FOLDER
// What was tried stands beside the models, in results.jsonl, a line each: a run that was stopped goes on; delete that file to try all anew.
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { drawPictures } from '../../dist/index.js';

const [folder = ''] = process.argv.slice(2);
if (folder === '') throw new Error('usage: node test/zoo/real-files.js FOLDER');
const root = new URL('../../', import.meta.url);
const script = fileURLToPath(new URL('try-model.js', import.meta.url));
const policies = ['F1C0', 'F1C1', 'full'];
const work = mkdtempSync(join(tmpdir(), 'ort-tl-real-'));
const pictures = join(work, 'pictures');
await drawPictures(pictures, { set: 'demo', trainPerClass: 3, valPerClass: 3, size: 64, seed: 3 });

const resultSchema = z.union([
  z.object({ refused: z.string() }),
  z.object({ broken: z.string() }),
  z.object({
    losses: z.array(z.number().nullable()),
    verified: z.object({ agreeing: z.number(), photos: z.number() }),
  }),
]);
/** @typedef {z.infer<typeof resultSchema>} Result */
const log = join(folder, 'results.jsonl');
const lines = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
/** @type {Map<string, Result>} */
const results = new Map(
  lines
    .map((line) => resultSchema.and(z.object({ job: z.string() })).parse(JSON.parse(line)))
    .map(({ job, ...result }) => [job, result]),
);

/**
 * What comes of a model and a policy.
 * @param {string} name
 * @param {string} policy
 * @returns {Result}
 */
function tryOne(name, policy) {
  const out = join(work, 'run');
  try {
    const printed = execFileSync(process.execPath, [script, join(folder, name), policy, pictures, out], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return resultSchema.parse(JSON.parse(printed.trim().split('\n').at(-1) ?? ''));
  } catch (thrown) {
    return { broken: thrown instanceof Error ? (thrown.message.split('\n')[0] ?? '') : String(thrown) };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/**
 * A model's result by a policy, from the log where it is there.
 * @param {string} name
 * @param {string} policy
 */
function resultOf(name, policy) {
  const job = `${name} ${policy}`;
  const known = results.get(job);
  if (known) return known;
  const result = tryOne(name, policy);
  appendFileSync(log, `${JSON.stringify({ job, ...result })}\n`);
  process.stderr.write(`${job}: ${cellOf(result, name)}\n`);
  return result;
}

/**
 * A result in words, without the paths of this machine.
 * @param {Result} result
 * @param {string} name
 */
function cellOf(result, name) {
  if ('broken' in result) return '**broken**';
  if ('refused' in result) {
    const said = result.refused
      .replaceAll(join(folder, name), 'the file')
      .replaceAll(folder, '')
      .replaceAll(/\S*\/run\//g, '');
    return `refused: ${said.replaceAll('|', '\\|')}`;
  }
  const { losses, verified } = result;
  const { agreeing, photos } = verified;
  const [first, last] = [losses[0] ?? NaN, losses.at(-1) ?? NaN];
  const fall = `${toldOf(first)} → ${toldOf(last)}`;
  const agreement = `${agreeing}/${photos}`;
  return `${last < first ? fall : `**${fall}**`}; ${agreeing === photos ? agreement : `**${agreement}**`}`;
}

/** @param {number} loss */
function toldOf(loss) {
  return loss < 1e5 ? loss.toFixed(2) : loss.toExponential(1);
}

/** @param {Result} result */
function diverges(result) {
  return 'refused' in result && result.refused.includes('no longer a number');
}

const names = readdirSync(folder)
  .filter((each) => each.endsWith('.onnx'))
  .sort();
const rows = [];
const counts = { trained: 0, diverging: 0, refused: 0 };
for (const name of names) {
  const [packageName = '', file = ''] = name.split('__');
  const cells = [];
  const first = resultOf(name, policies[0] ?? '');
  for (const policy of policies) {
    cells.push(cellOf(policy === policies[0] ? first : resultOf(name, policy), name));
    // What is no classifier of images is none by any policy.
    if ('refused' in first) break;
  }
  if (diverges(first)) counts.diverging++;
  else if ('refused' in first) counts.refused++;
  else counts.trained++;
  while (cells.length < policies.length) cells.push('');
  rows.push([packageName, file, ...cells]);
}
rmSync(work, { recursive: true });

/** @param {string} path */
const versionOf = (path) =>
  z.object({ version: z.string() }).parse(JSON.parse(readFileSync(new URL(path, root), 'utf8'))).version;
const table = [['package', 'file', ...policies], ['---', '---', ...policies.map(() => '---')], ...rows];
const text = `# Model files as packages ship them

${names.length} model files from PyPI, as they are (\`test/zoo/real_files.py\` names the packages and their versions): ${counts.trained} are classifiers of images and train, ${counts.refused} are
something else, or one result of several has to be chosen, and are refused; ${counts.diverging} diverges. Each is tried by three policies on eighteen drawn pictures of six classes, ten epochs of two steps with LAMB (learning rate 2e-3, full 3e-4).

A cell tells the training loss of the first and the last epoch, and on how many of eighteen validation pictures the exported model, in a plain
session, gives the class of the evaluation; or what \`ort-tl\` says when it refuses the file. Bold is what went wrong. What F1C0 refuses is not tried further.

The \`light_*\` files of onnx have 0.02 in place of each trained weight, so that nothing can be learned: the loss stays near ln 6 = 1.79, or the scores are huge.
\`light_inception_v1\`, which has no BatchNormalization, diverges at this learning rate.

Made on ${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), Node ${process.version}, onnxruntime-node ${versionOf('node_modules/onnxruntime-node/package.json')}, ort-tl ${versionOf('package.json')}, ${new Date().toISOString().slice(0, 10)}, by

    python test/zoo/real_files.py FOLDER
    npm run build && node test/zoo/real-files.js FOLDER

${table.map((row) => `| ${row.join(' | ')} |`).join('\n')}
`;
writeFileSync(new URL('docs/real-files.md', root), text);
