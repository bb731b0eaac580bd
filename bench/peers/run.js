// Measures ort-tl and its peers at the same work, in interleaved rounds, and writes a report.
//   npm run bench:peers -- --model M --data D [--python-torch P] [--python-ort P] [--rounds 3] [--only train/F1C1,machine] [--quick]
//     [--machine NOTE]
// What was measured lies beside the report (.jsonl) and is not measured again; --fresh begins anew on this machine. --report-only measures
// nothing. --machine says which kind of machine this is (its processor's name and widest vector instructions, if it is left out): the same work
// of several kinds, in one file of records, stands side by side in the report.
// Python environments are made with
//   python3 -m venv T && T/bin/pip install -r bench/peers/requirements-torch.txt
//   python3.11 -m venv O && O/bin/pip install -r bench/peers/requirements-onnxruntime-training.txt
// onnxruntime-web 1.19.2 (113 MB) and TensorFlow.js are installed into a temporary folder when their turn comes.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir, totalmem } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { z } from 'zod';
import { openDataset, UserError } from 'ort-tl';
import { Records } from '../../dist/bench/records.js';
import { byMachine, machineNote } from '../machine.js';
import { CACHED, isWorthMeasuring, measurementsOf } from './measurements.js';
import { writePhotoList, writePlan } from './plan.js';
import { stopping } from './process.js';
import { ABOUT, report } from './report.js';
import { reading, resultSchema } from './result.js';

/** @import { Quantity } from './result.js' */

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    data: { type: 'string' },
    'python-torch': { type: 'string' },
    'python-ort': { type: 'string' },
    web: { type: 'string' },
    epochs: { type: 'string' },
    rounds: { type: 'string' },
    steps: { type: 'string' },
    share: { type: 'string' },
    threads: { type: 'string', default: '0' },
    machine: { type: 'string', default: machineNote() },
    only: { type: 'string' },
    out: { type: 'string', default: 'bench/results/peers.md' },
    quick: { type: 'boolean', default: false },
    fresh: { type: 'boolean', default: false },
    'report-only': { type: 'boolean', default: false },
  },
});
if (!values.model || !values.data) {
  console.error(
    'usage: npm run bench:peers -- --model MODEL.onnx --data PHOTOS [--python-torch PYTHON] [--python-ort PYTHON]',
  );
  process.exit(2);
}
const { quick } = values;
/** @type {(name: 'rounds' | 'epochs' | 'steps' | 'share', usual: number, short: number) => number} */
const number = (name, usual, short) => Number(values[name] ?? (quick ? short : usual));
const rounds = number('rounds', 3, 1);
const epochs = number('epochs', 10, 2);
const steps = number('steps', 5, 2);
// Of the photos, those that PyTorch trains on; 0.16 of 500 photos a class are 80.
const share = number('share', 0.16, 0.02);
const shares = { all: quick ? share : 1, part: share, few: share / 4 };
const run = promisify(execFile);
/** What `execFile` throws. */
const failureSchema = z.object({ stderr: z.string().optional(), message: z.string().optional() });

const work = mkdtempSync(join(tmpdir(), 'ort-tl-peers-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => {
    stopping.abort();
    process.exit(130);
  });

const model = resolve(values.model);
/** @param {string} name */
const listAt = (name) => join(work, `${name}.csv`);
const lists = { all: listAt('all'), part: listAt('part'), few: listAt('few') };
await writePhotoList(values.data, shares.all, lists.all);
await writePhotoList(values.data, shares.part, lists.part);
await writePhotoList(values.data, shares.few, lists.few);
/** @type {Map<string, string>} */
const plans = new Map();
/** @type {(list: keyof typeof lists, policy: string, length: number) => Promise<void>} */
const plan = async (list, policy, length) => {
  const file = join(work, `${list}-${policy.replace(':', '-')}.json`);
  try {
    await writePlan({ modelPath: model, list: lists[list], policy, batch: 32, epochs: length }, file);
    plans.set(`${list}/${policy}`, file);
  } catch (thrown) {
    // Not every model has blocks; what needs the plan says so in its turn.
    if (!(thrown instanceof UserError)) throw thrown;
  }
};
for (const policy of ['F1C0', ...CACHED]) await plan('part', policy, epochs);
await plan('all', 'F1C1', epochs);
await plan('few', 'full', 2);
const { classes, train, val } = await openDataset(lists.all, { seed: 0 });

/**
 * A folder with `packages`, freshly installed.
 * @param {string} name
 * @param {readonly string[]} packages
 */
async function installed(name, packages) {
  const folder = join(work, name);
  if (existsSync(folder)) return folder;
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{}');
  try {
    await run('npm', ['install', '--no-audit', '--no-fund', ...packages], { cwd: folder, maxBuffer: 1e9 });
  } catch (thrown) {
    rmSync(folder, { recursive: true });
    const { stderr = '', message = String(thrown) } = failureSchema.catch({}).parse(thrown);
    const reason = /^npm error (?:Error: )?((?:getaddrinfo|connect|404|E[A-Z]+ ).*)$/m.exec(stderr)?.[1];
    throw new Error(`npm install ${packages.join(' ')} failed: ${reason ?? message.split('\n')[0] ?? ''}`, {
      cause: thrown,
    });
  }
  return folder;
}

const all = measurementsOf({
  model,
  lists,
  plans,
  epochs,
  steps,
  quick,
  work,
  classes: classes.length,
  threads: Number(values.threads),
  torch: values['python-torch'],
  ort: values['python-ort'],
  web: async () =>
    join(values.web ?? (await installed('web', ['onnxruntime-web@1.19.2'])), 'node_modules', 'onnxruntime-web'),
  tfjs: async () =>
    join(await installed('tfjs', ['@tensorflow/tfjs-node@4.22.0']), 'node_modules', '@tensorflow', 'tfjs-node'),
});
const only = values.only?.split(',');
const chosen = all.filter(({ id }) => !only || only.some((part) => id.startsWith(part)));
if (chosen.length === 0) {
  console.error(`nothing is called ${values.only}; there are\n${all.map(({ id }) => `  ${id}`).join('\n')}`);
  process.exit(2);
}
const setting = [
  basename(model),
  basename(resolve(values.data)),
  `${train.length}+${val.length} photos`,
  `${epochs} epochs`,
]
  .concat(`share ${share}`, `${steps} steps`, `${Number(values.threads) || availableParallelism()} threads`)
  .join(', ');
mkdirSync(dirname(resolve(values.out)), { recursive: true });
const { machine } = values;
const everyone = Records.open(values.out.replace(/(\.md)?$/, '.jsonl'), {
  fresh: (record) => values.fresh && record.machine === machine,
});
const records = everyone.ofMachine(machine);
/** @type {(id: string, quantity: Quantity) => number | undefined} */
const firstRound = (id, quantity) => records.values(id, setting, reading(quantity)).get(1);
/** @param {string} text */
const hide = (text) => text.replaceAll(work, 'WORK').replaceAll(/\/[^\s:'"]*\//g, '…/');

/** @param {unknown} thrown */
const messageOf = (thrown) => (thrown instanceof Error ? thrown.message : String(thrown));

const began = Date.now();
let isAnythingNew = false;
const minutes = () => ((Date.now() - began) / 60_000).toFixed(1);
for (let round = 1; round <= rounds && !values['report-only']; round++) {
  for (const [index, each] of chosen.entries()) {
    const { id, once } = each;
    if (once && round > 1) continue;
    const key = { id, round, setting, machine };
    if (records.isDone(key)) continue;
    if (round > 1 && records.error(id, setting)) continue;
    if (!isWorthMeasuring(each, round, all, firstRound)) continue;
    process.stderr.write(`round ${round}, ${index + 1}/${chosen.length}, ${minutes()} min: ${id} … `);
    const from = performance.now();
    try {
      const result = await each.run();
      records.add({ ...key, at: new Date().toISOString(), result });
      isAnythingNew = true;
      console.error(`${((performance.now() - from) / 1000).toFixed(0)} s`);
    } catch (thrown) {
      records.add({ ...key, at: new Date().toISOString(), error: hide(messageOf(thrown)) });
      console.error(`failed: ${messageOf(thrown)}`);
    }
  }
}

/** @param {string} path */
const versionIn = (path) =>
  z.object({ version: z.string() }).parse(JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))).version;
/** @param {string} name */
const versionOf = (name) => versionIn(`../../node_modules/${name}/package.json`);
const ownVersion = versionIn('../../package.json');
const commit = await run('git', ['rev-parse', '--short', 'HEAD']).then(
  ({ stdout }) => ` (${stdout.trim()})`,
  () => '',
);
const peerVersions = Object.fromEntries(
  all.flatMap(({ id }) => Object.entries(resultSchema.parse(records.result(id, setting) ?? {}).versions)),
);
const versions = [
  `ort-tl ${ownVersion}${commit}`,
  `Node ${process.version}`,
  `onnxruntime-node ${versionOf('onnxruntime-node')}`,
  `sharp ${versionOf('sharp')}`,
  ...Object.entries(peerVersions).map(([name, version]) => `${name} ${version}`),
];
/** @type {(name: 'epochs' | 'steps' | 'share') => string[]} */
const given = (name) => (values[name] ? [`--${name} ${values[name]}`] : []);
const flags = [`--rounds ${rounds}`, ...given('epochs'), ...given('steps'), ...given('share')];
const command = `npm run bench:peers -- --model ${basename(model)} --data ${basename(resolve(values.data))} --python-torch … --python-ort … ${flags.join(
  ' ',
)}${quick ? ' --quick' : ''}`;
const text = `Made by \`${command}\` on ${availableParallelism()} cores (${machine}),
${Math.round(totalmem() / 1e9)} GB of memory, ${new Date().toISOString().slice(0, 10)}. ${versions.join(', ')}.`;
// A run that was cut off has not said it.
if (isAnythingNew || (!values['report-only'] && !records.result(ABOUT, setting)))
  records.add({ id: ABOUT, round: 1, setting, machine, at: new Date().toISOString(), result: { text } });
const heading = `${train.length} photos to train with, ${val.length} to validate, ${classes.length} classes; ${epochs} epochs, batch 32, AdamW.
Everything ran in a process of its own, one after another; a round has each once, PyTorch's slower modes (more than 15 % behind in the first) only
in the first. ${quick ? '**A quick check that everything works: its numbers say nothing.**' : ''}`;
const about = { heading, epochs, photos: train.length + val.length, ids: all.map(({ id }) => id), hide };
writeFileSync(values.out, report(byMachine(everyone, setting, machine), about));
console.error(`${values.out}: written after ${minutes()} min`);
