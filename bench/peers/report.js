// What the measurements show, as Markdown.
import { claimHeadings, claimRow } from '../../dist/bench/claims.js';
import { inEachRound, ratio, spreadOf } from '../../dist/bench/statistics.js';
import { markdownTable, significant } from '../../dist/bench/table.js';
import { claimsOf } from './claims.js';
import { fewerCores, wholeSeconds } from './measurements.js';
import { bestTop1, busy, cached, onCores, Quantities, usual } from './quantities.js';

/** @import { ByRound } from '../../dist/bench/statistics.js' */
/** @import { MachineRecords } from '../machine.js' */
/** @import { Result } from './result.js' */
/**
 * @typedef {object} About
 * @property {string} heading what all machines have in common
 * @property {number} epochs
 * @property {number} photos
 * @property {readonly string[]} ids all that there is to measure, in this order
 * @property {(text: string) => string} hide takes paths out
 */
/** The record that tells the machine, the versions and the command. */
export const ABOUT = 'about';

/** @type {(values: ByRound, scale?: number, unit?: string) => string} */
const shown = (values, scale = 1, unit = '') => {
  const spread = spreadOf([...values.values()]);
  if (!spread) return '';
  /** @param {number} value */
  const number = (value) => significant(value * scale);
  const range = spread.count > 1 ? ` (${number(spread.min)} to ${number(spread.max)})` : '';
  return `${number(spread.median)}${unit}${range}`;
};

/**
 * The whole report: what was to be shown, the machines side by side, and then all that was measured on each.
 * @param {readonly MachineRecords[]} machines
 * @param {About} about
 */
export function report(machines, about) {
  const [first, ...others] = machines.map((machine) => ({
    ...machine,
    q: new Quantities(machine.records, machine.setting, { ...about, ...machine }),
  }));
  if (!first) throw new Error('expected one machine or more');
  const all = [first, ...others];
  const sections =
    others.length === 0
      ? sectionsOf(first.q, about, '##')
      : all.map(({ heading, q }) => `## On ${heading}\n\n${madeBy(q)}\n\n${sectionsOf(q, about, '###')}`).join('\n');
  return `# Against the peers

${others.length === 0 ? madeBy(first.q) : `On ${all.map(({ heading }) => heading).join('; ')}.`}
${about.heading}

## What was to be shown

${claimTable(all)}

"Measured" is the median over the rounds of the ratio within each round. Of PyTorch's configurations the one counts that is best at
the quantity in question, beside a busy process too.

${sections}`;
}

/** @param {Quantities} q */
function madeBy(q) {
  const { text } = q.records.result(ABOUT, q.setting) ?? {};
  if (typeof text === 'string') return text;
  const times = q.records.entries.filter(({ setting }) => setting === q.setting).map(({ at }) => at.slice(0, 10));
  return times.length === 0
    ? 'Nothing was measured.'
    : `Measured ${[...new Set([times[0], times.at(-1)])].join(' to ')}.`;
}

/**
 * One row for each claim, with columns for each machine.
 * @param {readonly (MachineRecords & { q: Quantities })[]} machines
 */
function claimTable(machines) {
  const columns = machines.map(({ q }) => claimsOf(q).map((claim) => claimRow(claim)));
  const [only = [], ...more] = columns;
  if (more.length === 0) return markdownTable(claimHeadings, only);
  const [what = '', wanted = '', , ...rest] = claimHeadings;
  const headings = [what, wanted, ...machines.flatMap(({ heading }) => [heading, ...rest])];
  const rows = only.map(([name = ''], index) => {
    const cells = columns.map((rows) => rows[index] ?? []);
    const targets = [...new Set(cells.map(([, target]) => target ?? ''))];
    return [name, targets.join(' / '), ...cells.flatMap((row) => row.slice(2))];
  });
  return markdownTable(headings, rows);
}

/**
 * All that was measured on one machine.
 * @param {Quantities} q
 * @param {About} about
 * @param {string} level of the headings
 */
function sectionsOf(q, about, level) {
  const ids = about.ids.filter((id) => q.result(id) !== undefined);
  const failed = about.ids.filter((id) => q.result(id) === undefined);
  const sections = {
    Trainings: trainingSection(q, about, ids),
    'Beside one busy process': busySection(q, ids),
    'More cores': coresSection(q),
    'Photos that were drawn': photosSection(q),
    Steps: stepSection(q, ids),
    'The same work': sameSection(q),
    'Not measured':
      failed.length === 0
        ? 'Everything was.'
        : markdownTable(
            ['what', 'why'],
            failed.map((id) => [id, about.hide(q.records.error(id, q.setting) ?? 'not run')]),
          ),
  };
  return Object.entries(sections)
    .flatMap(([title, text]) => (text === '' ? [] : [`${level} ${title}\n\n${text.trim()}\n`]))
    .join('\n');
}

/** @type {(q: Quantities, about: About, ids: readonly string[]) => string} */
function trainingSection(q, { epochs, photos }, ids) {
  const rows = ids
    .filter((id) => id.startsWith('train/'))
    .map((id) => [
      id.slice('train/'.length),
      String(q.result(id)?.trainPhotos ?? ''),
      shown(q.first(id)),
      shown(q.later(id)),
      id.startsWith('train/full') ? '' : shown(q.whole(id)),
      shown(q.of(id, ({ processS }) => processS)),
      shown(coresUsed(q, id)),
      shown(q.of(id, ({ warmUpS }) => warmUpS)),
      shown(q.memory(id), 1e-6),
      q.result(id)?.epochs.length === epochs ? shown(q.of(id, bestTop1), 100) : '',
    ]);
  const allTrained = q.result('same/F1C1/torch/all');
  const eager = q.whole(cached('F1C1')('eager'));
  const check =
    allTrained && eager.size > 0
      ? `One training at full length (F1C1, eager, features cached) took ${significant(wholeSeconds(allTrained, epochs))} s; reckoned from a part of the photos it is ${shown(eager)} s.`
      : '';
  const titles = ['training', 'photos trained on', 'first epoch', 'a later epoch', `${epochs} epochs`, 'whole process'];
  return `Seconds, for all ${photos} photos; several rounds: median (smallest to largest).

${markdownTable([...titles, 'cores used', 'warming up', 'peak memory MB', 'best top-1 %'], rows)}

- An epoch is decoding (where it decodes), the frozen part (where it runs), the steps, and the evaluation on the validation photos.
- PyTorch is measured on a part of the photos and reckoned up in proportion; \`usual\` ran two epochs, of which the second stands
  for all later ones. ${check}
- Kept out of PyTorch's times: starting Python, importing, and the first step of each size of batch with all of torch.compile's
  compiling ("warming up"). ort-tl's "${epochs} epochs" has everything since its process started; "whole process" also has
  exporting the model and running it again. "Cores used" are seconds that all cores computed for a second of that process.
- PyTorch's peak memory is its main process'; the DataLoader's workers come on top. ort-tl's is the whole process.`;
}

/** @type {(q: Quantities, id: string) => ByRound} */
const coresUsed = (q, id) => q.of(id, ({ cpuS, processS }) => (cpuS ?? NaN) / (processS ?? NaN));

/** @type {(q: Quantities, ids: readonly string[]) => string} */
function busySection(q, ids) {
  const measured = ids.filter((id) => id.startsWith(busy('')));
  if (measured.length === 0) return '';
  const rows = measured.map((id) => {
    const quiet = id.slice(busy('').length);
    const isStep = quiet.startsWith('steps/');
    /** @type {(quantity: (id: string) => ByRound, unit: string) => string[]} */
    const both = (quantity, unit) => [
      shown(quantity(id), 1, unit),
      shown(ratio(quantity(id), quantity(quiet)), 1, '×'),
    ];
    return [
      quiet,
      ...(isStep ? ['', ''] : both((each) => inEachRound((seconds) => q.photos / seconds, q.first(each)), '')),
      ...(isStep ? ['', ''] : both(q.whole, '')),
      ...(isStep ? both(q.step, '') : ['', '']),
    ];
  });
  const headings = ['what', 'first epoch, photos a second', 'of a quiet one', `${q.epochs} epochs, s`, 'of quiet ones'];
  return `Beside a process of Node.js that always computes and is bound to no core; each ratio is to the quiet figure of the same round.

${markdownTable([...headings, 'a step, ms', 'of a quiet one'], rows)}`;
}

/** @param {Quantities} q */
function coresSection(q) {
  const counts = [...fewerCores(q.cores), q.cores];
  const [one = 1] = counts;
  const rows = counts.flatMap((count) => {
    const [first, full] = [onCores(q, count, 'F1C1'), onCores(q, count, 'full')];
    if (!q.result(first) && !q.result(full)) return [];
    /** @type {(quantity: (id: string) => ByRound, policy: 'F1C1' | 'full', id: string) => string} */
    const gained = (quantity, policy, id) => shown(ratio(quantity(onCores(q, one, policy)), quantity(id)), 1, '×');
    return [
      [
        `${count}${count === q.cores ? ' (all)' : ''}`,
        shown(q.firstRate(first)),
        gained(q.first, 'F1C1', first),
        shown(inEachRound((seconds) => q.photos / seconds, q.later(full))),
        gained(q.later, 'full', full),
        shown(q.memory(first), 1e-6),
      ],
    ];
  });
  if (rows.length < 2) return '';
  const headings = ['cores', 'F1C1, first epoch, photos a second', 'against one core', 'full, photos a second'];
  return `Bound to so many of the machine's cores, which is all that the training sees. Perfect would be as many times as there are cores.

${markdownTable([...headings, 'against one core', 'peak memory of F1C1, MB'], rows)}`;
}

/** @param {Quantities} q */
function photosSection(q) {
  const rows = ['224px', '12mp'].flatMap((name) => {
    const [own, sharp] = [`photos/${name}/ort-tl`, `photos/${name}/sharp`];
    if (!q.result(own) && !q.result(sharp)) return [];
    const alone = q.of(sharp, ({ photosPerSecond }) => photosPerSecond);
    const exact = q.of(sharp, ({ exactPhotosPerSecond }) => exactPhotosPerSecond);
    const rate = q.firstRate(own);
    const { trainPhotos = NaN, valPhotos = NaN } = q.result(own) ?? {};
    const what = [name, String(trainPhotos + valPhotos), shown(rate), shown(alone), shown(ratio(rate, alone), 100)];
    return [[...what, shown(exact), shown(ratio(rate, exact), 100)]];
  });
  if (rows.length === 0) return '';
  const headings = ['photos', 'how many', 'F1C1, first epoch, photos a second', 'sharp alone', 'of it, %'];
  return `${markdownTable([...headings, 'sharp alone, exact', 'of it, %'], rows)}

Waves under noise, JPEG of quality 90; those of 12 megapixels lie on their sides half of the time, as a phone holds them. "Exact" leaves out the
decoder's last halving, as ort-tl does, so that pixels are Pillow's.`;
}

/** @type {(q: Quantities, ids: readonly string[]) => string} */
function stepSection(q, ids) {
  const rows = ids
    .filter((id) => id.startsWith('steps/'))
    .map((id) => {
      const batch = q.result(id)?.batch ?? NaN;
      const step = q.step(id);
      return [
        id.slice('steps/'.length),
        shown(step),
        shown(inEachRound((ms) => (1000 * batch) / ms, step)),
        shown(q.of(id, ({ trainedStepMs }) => trainedStepMs?.median)),
        shown(q.of(id, ({ forwardMs }) => forwardMs?.median)),
        shown(q.memory(id), 1e-6),
      ];
    });
  const machine = q.result('machine');
  const batches = Object.keys(machine?.inferenceMs ?? {})
    .map((batch) => `batch ${batch}: ${shown(q.of('machine', ({ inferenceMs }) => inferenceMs[batch]?.median))} ms`)
    .join(', ');
  const gemm = shown(q.of('machine', ({ multiplyAddsPerSecond }) => multiplyAddsPerSecond / 1e9));
  const best = shown(q.of('inference', ({ imagesPerSecond }) => imagesPerSecond));
  return [
    `Milliseconds a step of one batch, medians. "Step" has the frozen part inside.

${markdownTable(['what', 'step', 'images a second', 'trained part alone', 'forward', 'peak memory MB'], rows)}
`,
    machine
      ? `ONNX Runtime's own inference: ${batches}. A large Gemm in ONNX Runtime: ${gemm} billion multiply-adds a second.`
      : '',
    best ? `The best that ONNX Runtime infers in any way: ${best} images a second.` : '',
  ].join('\n');
}

/** @param {Quantities} q */
function sameSection(q) {
  const pairs = [
    { what: 'F1C0', own: 'same/F1C0/ort-tl', other: usual('F1C0')('eager') },
    { what: 'F1C1', own: 'same/F1C1/ort-tl', other: usual('F1C1')('eager') },
    { what: 'F1C1, cached by hand', own: 'same/F1C1/ort-tl', other: cached('F1C1')('eager') },
    { what: 'F1C1, bf16', own: 'same/F1C1/ort-tl', other: usual('F1C1')('bf16') },
    { what: 'F1C3, cached by hand', own: 'train/F1C3/ort-tl', other: cached('F1C3')('eager') },
    { what: 'blocks:2, cached by hand', own: 'train/blocks:2/ort-tl', other: cached('blocks:2')('eager') },
    { what: 'full', own: 'same/full/ort-tl', other: 'same/full/torch' },
    { what: 'F1C1, all photos', own: 'train/F1C1/ort-tl', other: 'same/F1C1/torch/all' },
  ];
  const rows = pairs.flatMap(({ what, own, other }) => {
    const [a, b] = [q.result(own), q.result(other)];
    if (!a || !b) return [];
    const last = Math.min(a.epochs.length, b.epochs.length) - 1;
    return [0, last].flatMap((index) => {
      const [x, y] = [a.epochs[index], b.epochs[index]];
      if (!x || !y) return [];
      /** @type {(read: (epoch: Result['epochs'][number]) => number, digits: number) => string} */
      const both = (read, digits) => `${read(x).toFixed(digits)} / ${read(y).toFixed(digits)}`;
      const losses = [both(({ trainLoss }) => trainLoss, 4), both(({ valLoss }) => valLoss, 4)];
      return [[what, String(index + 1), ...losses, both(({ top1 }) => 100 * top1, 2)]];
    });
  });
  return `ort-tl / PyTorch: the same photos in the same order, the same head to begin with, the same learning rates. What remains of a
difference comes from decoding (sharp, Pillow) and rounding.

${markdownTable(['policy', 'epoch', 'training loss', 'validation loss', 'top-1 %'], rows)}`;
}
