// What the measurements show, as Markdown.
import { claimHeadings, claimRow } from '../../dist/bench/claims.js';
import { inEachRound, median, ratio, spreadOf } from '../../dist/bench/statistics.js';
import { markdownTable, significant } from '../../dist/bench/table.js';
import { TORCH_MODES, wholeSeconds } from './measurements.js';
import { laterSeconds } from './ort-tl.js';
import { reading, resultSchema } from './result.js';

/** @import { Claim } from '../../dist/bench/claims.js' */
/** @import { Records } from '../../dist/bench/records.js' */
/** @import { ByRound } from '../../dist/bench/statistics.js' */
/** @import { Quantity, Result } from './result.js' */
/** @typedef {(id: string) => ByRound} ById */
/** @typedef {(mode: string) => string} IdOf */

/** @type {ByRound} */
const NONE = new Map();

/** Quantities of measurements, by round, photos scaled to those of the whole training. */
class Quantities {
  /**
   * @param {Records} records
   * @param {string} setting
   * @param {{ epochs: number, photos: number }} whole the training that all are scaled to
   */
  constructor(records, setting, { epochs, photos }) {
    this.records = records;
    this.setting = setting;
    this.epochs = epochs;
    this.photos = photos;
  }

  /**
   * @param {string} id
   * @param {Quantity} quantity
   */
  of(id, quantity) {
    return this.records.values(id, this.setting, reading(quantity));
  }

  /** @param {string} id */
  result(id) {
    const result = this.records.result(id, this.setting);
    return result && resultSchema.parse(result);
  }

  /** @param {readonly string[]} ids */
  why(ids) {
    for (const id of ids) {
      const error = this.records.error(id, this.setting);
      if (error) return `${id}: ${error}`;
    }
    return `not run: ${ids.find((id) => !this.result(id)) ?? ids[0] ?? ''}`;
  }

  /**
   * Times of a part of the photos, for all of them: what an epoch does is in proportion to its photos.
   * @param {Result} result
   */
  scale(result) {
    return this.photos / (result.trainPhotos + result.valPhotos);
  }

  /** @type {ById} */
  first = (id) => this.of(id, (result) => this.scale(result) * (result.epochs[0]?.seconds ?? NaN));
  /** @type {ById} */
  later = (id) => this.of(id, (result) => this.scale(result) * laterSeconds(result.epochs));
  /** @type {ById} */
  whole = (id) =>
    this.of(id, (result) =>
      result.trainingS !== undefined
        ? this.scale(result) * result.trainingS
        : this.scale(result) * (wholeSeconds(result, this.epochs) - (result.prepareS ?? 0)) + (result.prepareS ?? 0),
    );
  /** @type {ById} */
  memory = (id) => this.of(id, ({ peakRssBytes }) => peakRssBytes);
  /** @type {ById} */
  step = (id) => this.of(id, ({ stepMs }) => stepMs?.median);

  /**
   * That of PyTorch's modes with the least of a quantity.
   * @param {ById} quantity
   * @param {IdOf} idOf
   * @param {readonly string[]} modes
   */
  best(quantity, idOf, modes = TORCH_MODES) {
    const measured = modes.flatMap((mode) => {
      const values = quantity(idOf(mode));
      return values.size > 0 ? [{ mode, values, median: median([...values.values()]) }] : [];
    });
    return measured.sort((a, b) => a.median - b.median)[0] ?? { mode: undefined, values: NONE };
  }
}

/** @type {(policy: string) => IdOf} */
const usual = (policy) => (mode) => `train/${policy}/torch/${mode}/usual`;
/** @type {IdOf} */
const cached = (mode) => `train/F1C1/torch/${mode}/cached`;

/**
 * The claims, in the order in which they are told.
 * @param {Quantities} q
 */
export function claimsOf(q) {
  /** @type {Claim[]} */
  const claims = [];
  /** @type {(what: string, wanted: number, measured: ByRound, ids: readonly string[], how?: Partial<Pick<Claim, 'note' | 'direction' | 'unit'>>) => void} */
  const claim = (what, wanted, measured, ids, { note, direction = 'at least', unit = 'times' } = {}) => {
    claims.push({
      what,
      wanted,
      direction,
      unit,
      measured,
      ...(measured.size === 0 ? { missing: q.why(ids) } : {}),
      ...(note === undefined ? {} : { note }),
    });
  };
  /** @type {(what: string, wanted: number, quantity: ById, own: string, idOf: IdOf, modes?: readonly string[]) => void} */
  const faster = (what, wanted, quantity, own, idOf, modes) => {
    const best = q.best(quantity, idOf, modes);
    const mode = best.mode ?? (modes ?? TORCH_MODES)[0] ?? '';
    claim(
      what,
      wanted,
      ratio(best.values, quantity(own)),
      [own, idOf(mode)],
      best.mode === undefined ? {} : { note: `PyTorch, ${best.mode}` },
    );
  };
  const [f1c1, f1c0, int8] = ['train/F1C1/ort-tl', 'train/F1C0/ort-tl', 'train/F1C1/ort-tl/int8'];

  faster('F1C1, whole training, against PyTorch the usual way', 10, q.whole, f1c1, usual('F1C1'));
  faster('the same with `--frozen int8`', 15, q.whole, int8, usual('F1C1'));
  claim(
    'what `--frozen int8` loses of top-1',
    0.005,
    inEachRound((a, b) => a - b, q.of(f1c1, bestTop1), q.of(int8, bestTop1)),
    [int8, f1c1],
    { direction: 'at most', unit: 'share' },
  );
  faster('F1C1, whole training, against PyTorch with features cached by hand', 1.3, q.whole, f1c1, cached);
  faster('the same with `--frozen int8`', 2, q.whole, int8, cached);
  faster('F1C1, an epoch after the first, against the usual way', 20, q.later, f1c1, usual('F1C1'));
  claim(
    "the same, against the machine's limit",
    0.6,
    inEachRound(
      (multiplyAdds, seconds, rate) => multiplyAdds / rate / seconds,
      q.of(f1c1, ({ trainPhotos, valPhotos, cost }) => {
        const { forwardMultiplyAdds: forward, backwardMultiplyAdds: backward } = cost;
        return trainPhotos * (forward + backward) + valPhotos * forward;
      }),
      q.later(f1c1),
      q.of('machine', ({ multiplyAddsPerSecond }) => multiplyAddsPerSecond),
    ),
    [f1c1, 'machine'],
    { unit: 'share', note: "the epoch's multiply-adds, evaluation included, at the rate of a large Gemm" },
  );
  claim(
    'the step alone, against that limit',
    0.6,
    inEachRound(
      (multiplyAdds, ms, rate) => multiplyAdds / rate / (ms / 1000),
      q.of('steps/F1C1-32/ort-tl', ({ batch, cost }) => batch * (cost.forwardMultiplyAdds + cost.backwardMultiplyAdds)),
      q.of('steps/F1C1-32/ort-tl', ({ trainedStepMs }) => trainedStepMs?.median),
      q.of('machine', ({ multiplyAddsPerSecond }) => multiplyAddsPerSecond),
    ),
    ['steps/F1C1-32/ort-tl', 'machine'],
    { unit: 'share', note: 'the same' },
  );
  faster('F1C0, an epoch after the first, against the usual way', 1000, q.later, f1c0, usual('F1C0'));
  faster('F1C1, first epoch, against eager', 2, q.first, f1c1, usual('F1C1'), ['eager']);
  faster('F1C1, first epoch, against compiled', 1.3, q.first, f1c1, usual('F1C1'), ['compile', 'compile-bf16']);
  faster('F1C1, first epoch, against eager bf16', 1.3, q.first, f1c1, usual('F1C1'), ['bf16']);
  const vendor = 'steps/F1C1-32/onnxruntime-training';
  claim(
    'F1C1, a step with the frozen part inside',
    2,
    ratio(q.step(vendor), q.step('steps/F1C1-32/ort-tl')),
    [vendor],
    {
      note: "the vendor's training wheel, batch 32",
    },
  );
  for (const batch of [16, 32]) {
    const own = `steps/full-${batch}/ort-tl`;
    faster(`full, a step of batch ${batch}`, 1.3, q.step, own, (mode) => `steps/full-${batch}/torch/${mode}`);
    claim(
      `full, a step of batch ${batch}, against three times inference`,
      0.5,
      inEachRound(
        (inference, step) => (3 * inference) / step,
        q.of('machine', ({ inferenceMs }) => inferenceMs[batch]?.median),
        q.step(own),
      ),
      ['machine', own],
      { unit: 'share', note: "ONNX Runtime's own inference of the same batch" },
    );
  }
  /** @type {(what: string, wanted: number, own: string, idOf: IdOf) => void} */
  const memory = (what, wanted, own, idOf) => {
    const best = q.best(q.memory, idOf);
    claim(what, wanted, ratio(q.memory(own), best.values), [own, idOf('eager')], {
      direction: 'at most',
      unit: 'share',
      ...(best.mode === undefined ? {} : { note: `PyTorch's smallest: ${best.mode}` }),
    });
  };
  /** @type {IdOf} */
  const full16 = (mode) => `steps/full-16/torch/${mode}`;
  const limited = 'train/full/ort-tl/memory-512';
  memory('peak memory, F1C1, batch 32', 1 / 3, f1c1, usual('F1C1'));
  memory('peak memory, full, batch 16', 1, 'steps/full-16/ort-tl', full16);
  memory('the same with `--memory 512`', 1 / 3, limited, full16);
  claim(
    'its speed, against without',
    0.6,
    ratio(q.later('train/full/ort-tl'), q.later(limited)),
    [limited, 'train/full/ort-tl'],
    {
      unit: 'share',
    },
  );
  for (const policy of ['F1C1', 'F1C0']) {
    const id = `profile/${policy}`;
    claim(
      `time in JavaScript, epochs after the first, ${policy}`,
      0.05,
      q.of(id, ({ javascript }) => javascript),
      [id],
      {
        direction: 'at most',
        unit: 'share',
        note: 'of the thread that trains, under the profiler, with all that it calls but ONNX Runtime and the file system',
      },
    );
  }
  claim(
    '`ort-tl --help`, whole process',
    150,
    q.of('help', ({ helpMs }) => helpMs?.median),
    ['help'],
    {
      direction: 'at most',
      unit: 'ms',
    },
  );
  claim(
    '`ort-tl --help`, against `node -e 0`',
    1.6,
    q.of('help', ({ helpMs, nodeMs }) => helpMs && nodeMs && helpMs.median / nodeMs.median),
    ['help'],
    { direction: 'at most' },
  );
  return claims;
}

/** @type {(result: Result) => number} */
const bestTop1 = ({ epochs }) => Math.max(...epochs.map(({ top1 }) => top1));

/**
 * The whole report. `about` has the machine, the versions, the command, what was left out.
 * @param {Records} records
 * @param {string} setting
 * @param {{ heading: string, epochs: number, photos: number, ids: readonly string[], hide: (text: string) => string }} about
 */
export function report(records, setting, about) {
  const q = new Quantities(records, setting, about);
  /** @type {(values: ByRound, scale?: number, unit?: string) => string} */
  const shown = (values, scale = 1, unit = '') => {
    const spread = spreadOf([...values.values()]);
    if (!spread) return '';
    /** @param {number} value */
    const number = (value) => significant(value * scale);
    const range = spread.count > 1 ? ` (${number(spread.min)} to ${number(spread.max)})` : '';
    return `${number(spread.median)}${unit}${range}`;
  };
  /** @param {string} id */
  const has = (id) => q.result(id) !== undefined;
  const trainings = about.ids.filter((id) => id.startsWith('train/') && has(id));
  const steps = about.ids.filter((id) => id.startsWith('steps/') && has(id));
  const failed = about.ids.filter((id) => !has(id));

  const trainingRows = trainings.map((id) => [
    id.slice('train/'.length),
    String(q.result(id)?.trainPhotos ?? ''),
    shown(q.first(id)),
    shown(q.later(id)),
    id.startsWith('train/full') ? '' : shown(q.whole(id)),
    shown(q.of(id, ({ processS }) => processS)),
    shown(q.of(id, ({ warmUpS }) => warmUpS)),
    shown(q.memory(id), 1e-6),
    q.result(id)?.epochs.length === about.epochs ? shown(q.of(id, bestTop1), 100) : '',
  ]);
  const stepRows = steps.map((id) => {
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
  const pairs = [
    { what: 'F1C0', own: 'same/F1C0/ort-tl', other: usual('F1C0')('eager') },
    { what: 'F1C1', own: 'same/F1C1/ort-tl', other: usual('F1C1')('eager') },
    { what: 'F1C1, cached by hand', own: 'same/F1C1/ort-tl', other: cached('eager') },
    { what: 'F1C1, bf16', own: 'same/F1C1/ort-tl', other: usual('F1C1')('bf16') },
    { what: 'full', own: 'same/full/ort-tl', other: 'same/full/torch' },
    { what: 'F1C1, all photos', own: 'train/F1C1/ort-tl', other: 'same/F1C1/torch/all' },
  ];
  const sameRows = pairs.flatMap(({ what, own, other }) => {
    const [a, b] = [q.result(own), q.result(other)];
    if (!a || !b) return [];
    const last = Math.min(a.epochs.length, b.epochs.length) - 1;
    return [0, last].flatMap((index) => {
      const [x, y] = [a.epochs[index], b.epochs[index]];
      if (!x || !y) return [];
      /** @type {(read: (epoch: Result['epochs'][number]) => number, digits: number) => string} */
      const both = (read, digits) => `${read(x).toFixed(digits)} / ${read(y).toFixed(digits)}`;
      return [
        [
          what,
          String(index + 1),
          both(({ trainLoss }) => trainLoss, 4),
          both(({ valLoss }) => valLoss, 4),
          both(({ top1 }) => 100 * top1, 2),
        ],
      ];
    });
  });
  const machine = q.result('machine');
  const allTrained = q.result('same/F1C1/torch/all');
  const eager = q.whole(cached('eager'));
  const check =
    allTrained && eager.size > 0
      ? `One training at full length (F1C1, eager, features cached) took ${significant(wholeSeconds(allTrained, about.epochs))} s; reckoned from a part of the photos it is ${shown(eager)} s.`
      : '';

  return `# Against the peers

${about.heading}

## What was to be shown

${markdownTable(
  claimHeadings,
  claimsOf(q).map((each) => claimRow(each)),
)}

"Measured" is the median over the rounds of the ratio within each round. Of PyTorch's configurations the one counts that is best at
the quantity in question.

## Trainings

Seconds, for all ${about.photos} photos; several rounds: median (smallest to largest).

${markdownTable(
  [
    'training',
    'photos trained on',
    'first epoch',
    'a later epoch',
    `${about.epochs} epochs`,
    'whole process',
    'warming up',
    'peak memory MB',
    'best top-1 %',
  ],
  trainingRows,
)}

- An epoch is decoding (where it decodes), the frozen part (where it runs), the steps, and the evaluation on the validation photos.
- PyTorch is measured on a part of the photos and reckoned up in proportion; \`usual\` ran two epochs, of which the second stands
  for all later ones. ${check}
- Kept out of PyTorch's times: starting Python, importing, and the first step of each size of batch with all of torch.compile's
  compiling ("warming up"). ort-tl's "${about.epochs} epochs" has everything since its process started; "whole process" also has
  exporting the model and running it again.
- PyTorch's peak memory is its main process'; the DataLoader's workers come on top. ort-tl's is the whole process.

## Steps

Milliseconds a step of one batch, medians. "Step" has the frozen part inside.

${markdownTable(['what', 'step', 'images a second', 'trained part alone', 'forward', 'peak memory MB'], stepRows)}
${
  machine
    ? `
ONNX Runtime's own inference: ${Object.keys(machine.inferenceMs)
        .map((batch) => `batch ${batch}: ${shown(q.of('machine', ({ inferenceMs }) => inferenceMs[batch]?.median))} ms`)
        .join(', ')}. A large Gemm in ONNX Runtime: ${shown(
        q.of('machine', ({ multiplyAddsPerSecond }) => multiplyAddsPerSecond / 1e9),
      )} billion multiply-adds a second.
`
    : ''
}
## The same work

ort-tl / PyTorch: the same photos in the same order, the same head to begin with, the same learning rates. What remains of a
difference comes from decoding (sharp, Pillow) and rounding.

${markdownTable(['policy', 'epoch', 'training loss', 'validation loss', 'top-1 %'], sameRows)}

## Not measured

${
  failed.length === 0
    ? 'Everything was.'
    : markdownTable(
        ['what', 'why'],
        failed.map((id) => [id, about.hide(records.error(id, setting) ?? 'not run')]),
      )
}
`;
}
