// How ort-tl's cost grows with images, resolution, trained layers, batch and threads: a table and plots.
//   npm run bench:growth -- [--model M] [--data D] [--rounds 3] [--only images,batch] [--out bench/results/growth.md] [--quick]
// Without --model and --data, the embedded model and drawn pictures. What was measured lies beside the report (.jsonl) and is not
// measured again; --fresh begins anew. Plots are written beside the report, growth-images.svg and so on.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { z } from 'zod';
import { drawPictures, inspect, openDataset, readModel, UserError } from 'ort-tl';
import { Records } from '../dist/bench/records.js';
import { spreadOf } from '../dist/bench/statistics.js';
import { markdownTable, significant } from '../dist/bench/table.js';
import { drawChart } from '../dist/figures/chart.js';
import { laterSeconds, measureTraining } from './peers/training.js';
import { writePhotoList } from './peers/plan.js';
import { reading } from './peers/result.js';

/** @import { Spread } from '../dist/bench/statistics.js' */
/** @import { ChartSpec } from '../dist/figures/chart.js' */
/** @import { Quantity, Result } from './peers/result.js' */
/** @typedef {{ policy?: string, share?: number, batch?: number, flags?: readonly string[] }} Settings */
/**
 * One thing that is varied.
 * @typedef {object} Point
 * @property {string} id what the value is called in the records
 * @property {string | number} shown
 * @property {Settings} settings what a training gets for it
 */
/**
 * @typedef {object} Axis
 * @property {string} name
 * @property {string} label
 * @property {readonly Point[]} points
 * @property {readonly string[]} policies empty where the policy is what is varied
 * @property {string} [empty] why there are no points
 */
/** @typedef {{ value: string | number, policy: string, numbers: readonly { title: string, spread: Spread | undefined }[] }} Measured */

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: fileURLToPath(new URL('../models/small_cnn.onnx', import.meta.url)) },
    data: { type: 'string' },
    rounds: { type: 'string' },
    policies: { type: 'string', default: 'F1C0,F1C1,F1C2,F1C3,full' },
    only: { type: 'string' },
    out: { type: 'string', default: 'bench/results/growth.md' },
    quick: { type: 'boolean', default: false },
    fresh: { type: 'boolean', default: false },
  },
});
const { quick, model } = values;
const rounds = Number(values.rounds ?? (quick ? 1 : 3));
const work = mkdtempSync(join(tmpdir(), 'ort-tl-growth-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));

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

/** @param {number} share */
const ofImages = (share) => ({ id: String(share), shown: Math.round(share * train.length), settings: { share } });
/** @param {number} size */
const ofSize = (size) => ({ id: String(size), shown: size, settings: { flags: ['--size', String(size)] } });
/** @param {string} policy */
const ofPolicy = (policy) => ({ id: policy, shown: policy, settings: { policy } });
/** @param {number} batch */
const ofBatch = (batch) => ({ id: String(batch), shown: batch, settings: { batch } });
/** @param {number} threads */
const ofThreads = (threads) => ({
  id: String(threads),
  shown: threads,
  settings: { flags: ['--threads', String(threads)] },
});
const sizes = quick ? [32, 64] : [96, 128, 160, 192, 224, 256];
const threadCounts = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64].filter((count) => count <= cores);

/** @type {readonly Axis[]} */
const axes = [
  {
    name: 'images',
    label: 'photos to train with',
    points: (quick ? [usual / 2, usual] : [0.125, 0.25, 0.5, 1]).map(ofImages),
    policies: ['F1C0', 'F1C1'],
  },
  {
    name: 'resolution',
    label: 'side in pixels',
    points: takesSides ? sizes.map(ofSize) : [],
    policies: ['F1C0', 'F1C1'],
    empty: 'the model takes one size of image only',
  },
  { name: 'layers', label: 'policy', points: (quick ? policies.slice(0, 2) : policies).map(ofPolicy), policies: [] },
  {
    name: 'batch',
    label: 'batch',
    points: (quick ? [8, 16] : [4, 8, 16, 32, 64]).map(ofBatch),
    policies: ['F1C1', 'full'],
  },
  { name: 'threads', label: 'threads', points: threadCounts.map(ofThreads), policies: ['F1C1', 'full'] },
];
/**
 * The trainings of an axis: each of its points with each of its policies.
 * @param {Axis} axis
 */
const trainingsOf = ({ name, points, policies: alike }) =>
  points.flatMap((point) =>
    (alike.length > 0 ? alike : [point.id]).map((policy) => ({ point, policy, id: `${name}/${policy}/${point.id}` })),
  );

const setting = [
  basename(model),
  values.data ? basename(resolve(data)) : 'drawn pictures',
  `${train.length} photos`,
  `${cores} cores`,
]
  .concat(quick ? 'quick' : [])
  .join(', ');
mkdirSync(dirname(resolve(values.out)), { recursive: true });
const records = Records.open(values.out.replace(/(\.md)?$/, '.jsonl'), { fresh: values.fresh });
const only = values.only?.split(',');
/**
 * A policy that trains every layer runs the whole network at each step: fewer photos do.
 * @param {string} policy
 */
const shareFor = (policy) => (policy === 'full' ? usual / 4 : usual);

const began = Date.now();
const chosen = axes.filter(({ name }) => !only || only.includes(name));
for (let round = 1; round <= rounds; round++) {
  for (const { point, policy, id } of chosen.flatMap(trainingsOf)) {
    const key = { id, round, setting };
    if (records.isDone(key)) continue;
    const { share = shareFor(policy), ...settings } = point.settings;
    try {
      const result = await measureTraining({ model, data: await listOf(share), epochs: 3, policy, ...settings });
      records.add({ ...key, at: new Date().toISOString(), result });
      console.error(`round ${round}, ${((Date.now() - began) / 60_000).toFixed(1)} min: ${id}`);
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown.message : String(thrown);
      records.add({ ...key, at: new Date().toISOString(), error });
      console.error(`round ${round}: ${id} failed: ${error}`);
    }
  }
}

/** @type {(seconds: number, result: Result) => number} */
const perPhoto = (seconds, { trainPhotos }) => (1000 * seconds) / trainPhotos;
/** @param {Result} result */
const firstSeconds = ({ epochs }) => epochs[0]?.seconds ?? NaN;
/** @type {Readonly<Record<string, Quantity>>} */
const quantities = {
  'first epoch, s': firstSeconds,
  'a later epoch, s': ({ epochs }) => laterSeconds(epochs),
  'first epoch, ms a photo': (result) => perPhoto(firstSeconds(result), result),
  'a later epoch, ms a photo': (result) => perPhoto(laterSeconds(result.epochs), result),
  'peak memory, MB': ({ peakRssBytes }) => peakRssBytes / 1e6,
};
/**
 * Where the photos grow, an epoch's time does; elsewhere the time for one photo says more.
 * @param {Axis} axis
 */
const quantitiesOf = ({ name }) =>
  Object.entries(quantities).filter(
    ([title]) => title.includes('memory') || title.endsWith(', s') === (name === 'images'),
  );

/** @type {string[]} */
const sections = [];
for (const axis of chosen) {
  const trainings = trainingsOf(axis);
  const measured = trainings.flatMap(({ point, policy, id }) => {
    if (!records.result(id, setting)) return [];
    const numbers = quantitiesOf(axis).map(([title, quantity]) => ({
      title,
      spread: spreadOf([...records.values(id, setting, reading(quantity)).values()]),
    }));
    return [{ value: point.shown, policy, numbers }];
  });
  const failed = trainings.flatMap(({ point, policy, id }) => {
    const error = records.error(id, setting);
    return error ? [`- ${axis.label} ${point.id}, ${policy}: not measured: ${error}`] : [];
  });
  if (measured.length === 0) {
    sections.push(`## By ${axis.label}\n\n${failed.join('\n') || `Not measured: ${axis.empty ?? 'not run'}.`}\n`);
    continue;
  }
  const file = values.out.replace(/(\.md)?$/, `-${axis.name}.svg`);
  writeFileSync(file, await drawGrowth(axis, measured));
  /** @param {Spread | undefined} spread */
  const show = (spread) => {
    if (!spread) return '';
    const { median: middle, min, max, count } = spread;
    return `${significant(middle)}${count > 1 ? ` (${significant(min)} to ${significant(max)})` : ''}`;
  };
  const titles = quantitiesOf(axis).map(([title]) => title);
  const byPolicy = axis.policies.length === 0 ? [] : ['policy'];
  const rows = measured.map(({ value, policy, numbers }) => [
    String(value),
    ...(byPolicy.length ? [policy] : []),
    ...numbers.map(({ spread }) => show(spread)),
  ]);
  sections.push(
    [
      `## By ${axis.label}`,
      `![${axis.label}](${basename(file)})`,
      markdownTable([axis.label, ...byPolicy, ...titles], rows),
      ...(axis.name === 'layers' ? [costsOf(axis.points.map(({ id }) => id))] : []),
      ...(failed.length ? [failed.join('\n')] : []),
    ].join('\n\n') + '\n',
  );
}

/**
 * A table of what each policy costs by the compiler's own reckoning.
 * @param {readonly string[]} policies
 */
function costsOf(policies) {
  const rows = policies.flatMap((policy) => {
    try {
      const { parameters, policy: cost } = inspect(readModel(model), { policy, batch: 32 });
      if (!cost) return [];
      return [
        [
          policy,
          significant((100 * cost.trainableParameters) / parameters),
          significant(cost.boundaryBytes / 1e3),
          significant((cost.forwardMultiplyAdds + cost.backwardMultiplyAdds) / 1e6),
        ],
      ];
    } catch (thrown) {
      if (thrown instanceof UserError) return [];
      throw thrown;
    }
  });
  return markdownTable(
    ['policy', 'parameters trained, %', 'kept of a photo, kB', 'million multiply-adds a photo and step'],
    rows,
  );
}

/**
 * One panel for each quantity, a line for each policy; rounds as a band.
 * @param {Axis} axis
 * @param {readonly Measured[]} measured
 */
function drawGrowth(axis, measured) {
  const data = measured.flatMap(({ value, policy, numbers }) =>
    numbers.map(({ title, spread }) => ({ value, policy, title, ...spread })),
  );
  const ordinal = axis.points.some(({ shown }) => typeof shown === 'string');
  const several = new Set(measured.map(({ policy }) => policy)).size > 1 && !ordinal;
  /** @typedef {Extract<ChartSpec, { hconcat: unknown }>['hconcat'][number]} Panel */
  /** @type {(title: string) => Panel} */
  const panel = (title) => ({
    title: { text: title, anchor: 'start' },
    width: 240,
    height: 200,
    transform: [{ filter: { field: 'title', equal: title } }],
    encoding: {
      x: {
        field: 'value',
        type: ordinal ? 'nominal' : 'quantitative',
        title: axis.label,
        sort: null,
        ...(ordinal ? { axis: { labelAngle: 0 } } : { axis: { tickMinStep: 1 }, scale: { nice: false, zero: true } }),
      },
      ...(several ? { color: { field: 'policy', title: null, type: 'nominal', sort: null } } : {}),
    },
    layer: [
      {
        mark: ordinal ? { type: 'bar' } : { type: 'line', point: true },
        encoding: { y: { field: 'median', type: 'quantitative', title: null, scale: { zero: true } } },
      },
      {
        mark: { type: 'rule', strokeWidth: 1.5, ...(ordinal ? { color: '#888' } : {}) },
        encoding: { y: { field: 'min', type: 'quantitative' }, y2: { field: 'max' } },
      },
    ],
  });
  return drawChart({ data: { values: data }, hconcat: quantitiesOf(axis).map(([title]) => panel(title)) });
}

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

Made by \`npm run bench:growth -- ${flags.join(' ')}\` on ${cores} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${new Date().toISOString().slice(0, 10)}.
ort-tl${commit}, Node ${process.version}, onnxruntime-node ${versionOf('onnxruntime-node')}. Each number comes from trainings of three epochs by
\`ort-tl train\`, a process each: the first epoch has decoding and the frozen part, a later one only steps and the evaluation.
Unless the photos grow, ${Math.round(usual * train.length)} of them train (a quarter of that with \`full\`), at batch 32. Median (smallest to largest) of the rounds.
${quick ? '**A quick check that everything works: its numbers say nothing.**\n' : ''}
${sections.join('\n').trim()}\n`,
);
console.error(`${values.out}: written after ${((Date.now() - began) / 60_000).toFixed(1)} min`);
