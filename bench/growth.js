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
import { drawPictures, inspect, openDataset, readModel, UserError } from 'ort-tl';
import { Records } from '../dist/bench/records.js';
import { spreadOf } from '../dist/bench/statistics.js';
import { markdownTable, significant } from '../dist/bench/table.js';
import { drawChart } from '../dist/figures/chart.js';
import { laterSeconds, measureTraining } from './peers/ort-tl.js';
import { writePhotoList } from './peers/plan.js';

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

let data = values.data;
if (!data) {
  data = join(work, 'drawn pictures');
  await drawPictures(data, {
    set: 'demo',
    trainPerClass: quick ? 20 : 200,
    valPerClass: quick ? 5 : 50,
    size: 64,
    seed: 0,
  });
}
const { train } = await openDataset(data, { seed: 0 });
const lists = new Map();
/** A list of a share of the photos. */
async function listOf(share) {
  const path = join(work, `${share}.csv`);
  if (!lists.has(share)) await writePhotoList(data, share, path);
  lists.set(share, path);
  return path;
}

const cores = availableParallelism();
// So many of the photos that a training of a few epochs takes seconds, not minutes.
const usual = Math.min(1, (quick ? 60 : 480) / train.length);
const upTo = (most, values) => values.filter((value) => value <= most);
const policies = values.policies.split(',');
/** Whether the model takes images of other sides than its own. */
const takesSides = (() => {
  try {
    return inspect(readModel(model), { size: 128 }).imageSize[0] === 128;
  } catch (thrown) {
    if (thrown instanceof UserError) return false;
    throw thrown;
  }
})();

/** An axis: its values, and what a training gets for each. */
const axes = [
  {
    name: 'images',
    label: 'photos to train with',
    values: quick ? [usual / 2, usual] : [0.125, 0.25, 0.5, 1],
    shown: (share) => Math.round(share * train.length),
    policies: ['F1C0', 'F1C1'],
    settings: (share) => ({ share }),
  },
  {
    name: 'resolution',
    label: 'side in pixels',
    values: !takesSides ? [] : quick ? [32, 64] : [96, 128, 160, 192, 224, 256],
    policies: ['F1C0', 'F1C1'],
    settings: (size) => ({ flags: ['--size', String(size)] }),
    empty: 'the model takes one size of image only',
  },
  {
    name: 'layers',
    label: 'policy',
    values: quick ? policies.slice(0, 2) : policies,
    policies: [undefined],
    settings: (policy) => ({ policy }),
  },
  {
    name: 'batch',
    label: 'batch',
    values: quick ? [8, 16] : [4, 8, 16, 32, 64],
    policies: ['F1C1', 'full'],
    settings: (batch) => ({ batch }),
  },
  {
    name: 'threads',
    label: 'threads',
    values: upTo(cores, [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]),
    policies: ['F1C1', 'full'],
    settings: (threads) => ({ flags: ['--threads', String(threads)] }),
  },
];

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
const idOf = (axis, policy, value) => `${axis.name}/${policy ?? value}/${value}`;
/** A policy that trains every layer runs the whole network at each step: fewer photos do. */
const shareFor = (policy) => (policy === 'full' ? usual / 4 : usual);

const began = Date.now();
const chosen = axes.filter(({ name }) => !only || only.includes(name));
for (let round = 1; round <= rounds; round++) {
  for (const axis of chosen) {
    for (const value of axis.values) {
      for (const policy of axis.policies) {
        const key = { id: idOf(axis, policy, value), round, setting };
        if (records.isDone(key)) continue;
        const { share, ...settings } = { policy, share: shareFor(policy ?? value), ...axis.settings(value) };
        try {
          const result = await measureTraining({ model, data: await listOf(share), epochs: 3, ...settings });
          records.add({ ...key, at: new Date().toISOString(), result });
          console.error(`round ${round}, ${((Date.now() - began) / 60_000).toFixed(1)} min: ${key.id}`);
        } catch (thrown) {
          records.add({ ...key, at: new Date().toISOString(), error: thrown.message });
          console.error(`round ${round}: ${key.id} failed: ${thrown.message}`);
        }
      }
    }
  }
}

const perPhoto = (seconds, { trainPhotos }) => (1000 * seconds) / trainPhotos;
const quantities = {
  'first epoch, s': ({ epochs }) => epochs[0].seconds,
  'a later epoch, s': ({ epochs }) => laterSeconds(epochs),
  'first epoch, ms a photo': (result) => perPhoto(result.epochs[0].seconds, result),
  'a later epoch, ms a photo': (result) => perPhoto(laterSeconds(result.epochs), result),
  'peak memory, MB': ({ peakRssBytes }) => peakRssBytes / 1e6,
};
/** Where the photos grow, an epoch's time does; elsewhere the time for one photo says more. */
const quantitiesOf = ({ name }) =>
  Object.entries(quantities).filter(
    ([title]) => title.includes('memory') || title.endsWith(', s') === (name === 'images'),
  );

const sections = [];
for (const axis of chosen) {
  const measured = axis.values.flatMap((value) =>
    axis.policies.flatMap((policy) => {
      const id = idOf(axis, policy, value);
      if (!records.result(id, setting)) return [];
      const numbers = quantitiesOf(axis).map(([title, read]) => [
        title,
        spreadOf([...records.values(id, setting, read).values()]),
      ]);
      return [{ value: axis.shown?.(value) ?? value, policy: policy ?? value, numbers }];
    }),
  );
  const failed = axis.values.flatMap((value) =>
    axis.policies.flatMap((policy) => {
      const error = records.error(idOf(axis, policy, value), setting);
      return error ? [`- ${axis.label} ${value}, ${policy ?? value}: not measured: ${error}`] : [];
    }),
  );
  if (measured.length === 0) {
    sections.push(`## By ${axis.label}\n\n${failed.join('\n') || `Not measured: ${axis.empty ?? 'not run'}.`}\n`);
    continue;
  }
  const file = values.out.replace(/(\.md)?$/, `-${axis.name}.svg`);
  writeFileSync(file, await drawGrowth(axis, measured));
  const show = ({ median: middle, min, max, count }) =>
    `${significant(middle)}${count > 1 ? ` (${significant(min)} to ${significant(max)})` : ''}`;
  const titles = quantitiesOf(axis).map(([title]) => title);
  const byPolicy = axis.policies[0] === undefined ? [] : ['policy'];
  const rows = measured.map(({ value, policy, numbers }) => [
    String(value),
    ...(byPolicy.length ? [policy] : []),
    ...numbers.map(([, spread]) => show(spread)),
  ]);
  sections.push(
    [
      `## By ${axis.label}`,
      `![${axis.label}](${basename(file)})`,
      markdownTable([axis.label, ...byPolicy, ...titles], rows),
      ...(axis.name === 'layers' ? [markdownTable(...costsOf(axis.values))] : []),
      ...(failed.length ? [failed.join('\n')] : []),
    ].join('\n\n') + '\n',
  );
}

/** What each policy costs by the compiler's own reckoning. */
function costsOf(policies) {
  const rows = policies.flatMap((policy) => {
    try {
      const { parameters, policy: cost } = inspect(readModel(model), { policy, batch: 32 });
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
  return [['policy', 'parameters trained, %', 'kept of a photo, kB', 'million multiply-adds a photo and step'], rows];
}

/** One panel for each quantity, a line for each policy; rounds as a band. */
function drawGrowth(axis, measured) {
  const data = measured.flatMap(({ value, policy, numbers }) =>
    numbers.map(([title, spread]) => ({ value, policy, title, ...spread })),
  );
  const ordinal = typeof axis.values[0] === 'string';
  const x = {
    field: 'value',
    type: ordinal ? 'nominal' : 'quantitative',
    title: axis.label,
    sort: null,
    ...(ordinal ? { axis: { labelAngle: 0 } } : { axis: { tickMinStep: 1 }, scale: { nice: false, zero: true } }),
  };
  const several = new Set(measured.map(({ policy }) => policy)).size > 1 && !ordinal;
  const color = several ? { color: { field: 'policy', title: null, type: 'nominal', sort: null } } : {};
  const panel = (title) => ({
    title: { text: title, anchor: 'start' },
    width: 240,
    height: 200,
    transform: [{ filter: { field: 'title', equal: title } }],
    encoding: { x, ...color },
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

const versionOf = (name) =>
  JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8')).version;
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
