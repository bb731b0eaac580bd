// How ort-tl's cost grows with images, resolution, trained layers, batch, threads and cores: a table and plots.
//   npm run bench:growth -- [--model M] [--data D] [--rounds 3] [--only images,batch] [--machine NOTE]
//     [--out bench/results/growth.md] [--quick]
// Without --model and --data, the embedded model and drawn pictures. What was measured lies beside the report (.jsonl) and is not
// measured again; --fresh begins anew on this machine. --machine says which kind of machine this is (its processor's name and widest vector
// instructions, if it is left out): the same work of several kinds, in one file of records, stands side by side. Plots are written beside the report, growth-images.svg and so on.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { z } from 'zod';
import { drawPictures, inspect, openDataset, readModel, UserError } from 'ort-tl';
import { Records } from '../dist/bench/records.js';
import { markdownTable, significant } from '../dist/bench/table.js';
import { axesOf, trainingsOf } from './growth/axes.js';
import { drawGrowth } from './growth/chart.js';
import { costsOf } from './growth/costs.js';
import { measuredOf } from './growth/measured.js';
import { byMachine, machineNote } from './machine.js';
import { writePhotoList } from './peers/plan.js';
import { stopping } from './peers/process.js';
import { measureTraining } from './peers/training.js';

/** @import { Spread } from '../dist/bench/statistics.js' */
/** @import { Axis } from './growth/axes.js' */

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: fileURLToPath(new URL('../models/small_cnn.onnx', import.meta.url)) },
    data: { type: 'string' },
    rounds: { type: 'string' },
    policies: { type: 'string', default: 'F1C0,F1C1,F1C2,F1C3,full' },
    machine: { type: 'string', default: machineNote() },
    only: { type: 'string' },
    out: { type: 'string', default: 'bench/results/growth.md' },
    quick: { type: 'boolean', default: false },
    fresh: { type: 'boolean', default: false },
  },
});
const { quick, model, machine } = values;
const rounds = Number(values.rounds ?? (quick ? 1 : 3));
const work = mkdtempSync(join(tmpdir(), 'ort-tl-growth-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => {
    stopping.abort();
    process.exit(130);
  });

const data = values.data ?? join(work, 'drawn pictures');
if (values.data === undefined)
  await drawPictures(data, {
    set: 'demo',
    trainPerClass: quick ? 20 : 200,
    valPerClass: quick ? 5 : 50,
    size: 64,
    seed: 0,
  });
const { train } = await openDataset(data, { seed: 0 });
/** @type {Map<number, string>} */
const lists = new Map();
/**
 * A list of a share of the photos.
 * @param {number} share
 */
async function listOf(share) {
  const path = join(work, `${share}.csv`);
  if (!lists.has(share)) await writePhotoList(data, share, path);
  lists.set(share, path);
  return path;
}

const cores = availableParallelism();
// So many of the photos that a training of a few epochs takes seconds, not minutes.
const usual = Math.min(1, (quick ? 60 : 480) / train.length);
const policies = values.policies.split(',');
/** Whether the model takes images of other sides than its own. */
const takesSides = (() => {
  try {
    return inspect(readModel(model), { size: 128, batch: 1 }).imageSize[0] === 128;
  } catch (thrown) {
    if (thrown instanceof UserError) return false;
    throw thrown;
  }
})();

const choice = { quick, photos: train.length, usual, policies, takesSides };
const axes = axesOf(choice, cores);

const setting = [
  basename(model),
  values.data ? basename(resolve(data)) : 'drawn pictures',
  `${train.length} photos`,
  `${cores} cores`,
]
  .concat(quick ? 'quick' : [])
  .join(', ');
mkdirSync(dirname(resolve(values.out)), { recursive: true });
const everyone = Records.open(values.out.replace(/(\.md)?$/, '.jsonl'), {
  fresh: (record) => values.fresh && record.machine === machine,
});
const records = everyone.ofMachine(machine);
const only = values.only?.split(',');
/** A policy that trains every layer runs the whole network at each step: fewer photos do. */
const SHARE_OF_FULL = 1 / 4;

const began = Date.now();
const chosen = axes.filter(({ name }) => !only || only.includes(name));
for (let round = 1; round <= rounds; round++) {
  for (const { point, policy, id } of chosen.flatMap(trainingsOf)) {
    const key = { id, round, setting, machine };
    if (records.isDone(key)) continue;
    const { share = usual, ...settings } = point.settings;
    try {
      const data = await listOf(policy === 'full' ? share * SHARE_OF_FULL : share);
      const result = await measureTraining({ model, data, epochs: 3, policy, ...settings });
      records.add({ ...key, at: new Date().toISOString(), result });
      console.error(`round ${round}, ${((Date.now() - began) / 60_000).toFixed(1)} min: ${id}`);
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown.message : String(thrown);
      records.add({ ...key, at: new Date().toISOString(), error });
      console.error(`round ${round}: ${id} failed: ${error}`);
    }
  }
}

const machines = byMachine(everyone, setting, machine);
/** @param {Spread | undefined} spread */
const show = (spread) => {
  if (!spread) return '';
  const { median: middle, min, max, count } = spread;
  return `${significant(middle)}${count > 1 ? ` (${significant(min)} to ${significant(max)})` : ''}`;
};

/**
 * The section of an axis, all machines in one table and one plot.
 * @param {Axis} axis
 */
async function sectionOf(axis) {
  const found = machines.map((each) => {
    // Another machine has other numbers of cores.
    const own = axesOf(choice, each.cores).find(({ name }) => name === axis.name) ?? axis;
    const failed = trainingsOf(own).flatMap(({ point, policy, id }) => {
      const error = each.records.error(id, each.setting);
      return error ? [`- ${axis.label} ${point.id}, ${policy}: not measured: ${error}`] : [];
    });
    return { own, failed, measured: measuredOf(own, each) };
  });
  const measured = found.flatMap((each) => each.measured);
  const failed = found.flatMap((each) => each.failed);
  if (measured.length === 0)
    return `## By ${axis.label}\n\n${failed.join('\n') || `Not measured: ${axis.empty ?? 'not run'}.`}\n`;
  const file = values.out.replace(/(\.md)?$/, `-${axis.name}.svg`);
  const longest = found.reduce((a, b) => (b.own.points.length > a.own.points.length ? b : a)).own;
  writeFileSync(file, await drawGrowth(longest, measured));
  const isVaried = axis.policies.length > 0;
  const titles = [...new Set(measured.flatMap(({ numbers }) => numbers.map(({ title }) => title)))];
  const rows = measured.map(({ value, policy, machine: where, numbers }) => [
    String(value),
    ...(isVaried ? [policy] : []),
    ...(machines.length > 1 ? [where] : []),
    ...titles.map((title) => show(numbers.find((each) => each.title === title)?.spread)),
  ]);
  const headings = [axis.label, ...(isVaried ? ['policy'] : []), ...(machines.length > 1 ? ['machine'] : [])];
  return [
    `## By ${axis.label}`,
    ...(axis.note ? [`${axis.note} Perfect would be as many times as fast as the number says.`] : []),
    `![${axis.label}](${basename(file)})`,
    markdownTable([...headings, ...titles], rows),
    ...(axis.name === 'layers'
      ? [
          costsOf(
            model,
            axis.points.map(({ id }) => id),
          ),
        ]
      : []),
    ...(failed.length ? [failed.join('\n')] : []),
    '',
  ].join('\n\n');
}

/** @type {string[]} */
const sections = [];
for (const axis of chosen) sections.push(await sectionOf(axis));

/** @param {string} name */
const versionOf = (name) =>
  z
    .object({ version: z.string() })
    .parse(JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8'))).version;
const commit = await promisify(execFile)('git', ['rev-parse', '--short', 'HEAD']).then(
  ({ stdout }) => ` (${stdout.trim()})`,
  () => '',
);
const flags = [
  values.model && `--model ${basename(model)}`,
  values.data && `--data ${basename(resolve(data))}`,
  `--rounds ${rounds}`,
]
  .concat(quick ? '--quick' : [])
  .filter(Boolean);
writeFileSync(
  values.out,
  `# How the cost grows

Made by \`npm run bench:growth -- ${flags.join(' ')}\` on ${cores} cores (${machine}), ${new Date().toISOString().slice(0, 10)}.${
    machines.length > 1
      ? `
Beside it: ${machines
          .slice(1)
          .map(({ heading }) => heading)
          .join('; ')}.`
      : ''
  }
ort-tl${commit}, Node ${process.version}, onnxruntime-node ${versionOf('onnxruntime-node')}. Each number comes from trainings of three epochs by
\`ort-tl train\`, a process each: the first epoch has decoding and the frozen part, a later one only steps and the evaluation.
Unless the photos grow, ${Math.round(usual * train.length)} of them train (a quarter of that with \`full\`; for many cores, more), at batch 32. Median (smallest to largest) of the rounds.
${quick ? '**A quick check that everything works: its numbers say nothing.**\n' : ''}
${sections.map((section) => section.trim()).join('\n\n')}\n`,
);
console.error(`${values.out}: written after ${((Date.now() - began) / 60_000).toFixed(1)} min`);
