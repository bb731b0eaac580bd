// What was to be shown.
import { inEachRound, ratio } from '../../dist/bench/statistics.js';
import { TORCH_MODES } from './measurements.js';
import { bestTop1, busy, cached, onCores, usual } from './quantities.js';

/** @import { Claim } from '../../dist/bench/claims.js' */
/** @import { ByRound } from '../../dist/bench/statistics.js' */
/** @import { ById, IdOf, Quantities } from './quantities.js' */
/** @typedef {Partial<Pick<Claim, 'note' | 'direction' | 'unit'>>} How */

const [F1C1, F1C0, INT8] = ['train/F1C1/ort-tl', 'train/F1C0/ort-tl', 'train/F1C1/ort-tl/int8'];
const LIMITED = 'train/F1C1/ort-tl/memory-256';

/** Claims in the order in which they are told. */
class Claims {
  /** @type {Claim[]} */
  all = [];

  /** @param {Quantities} q */
  constructor(q) {
    this.q = q;
  }

  /** @type {(what: string, wanted: number, measured: ByRound, ids: readonly string[], how?: How) => void} */
  add(what, wanted, measured, ids, { note, direction = 'at least', unit = 'times' } = {}) {
    this.all.push({
      what,
      wanted,
      direction,
      unit,
      measured,
      ...(measured.size === 0 ? { missing: this.q.why(ids) } : {}),
      ...(note === undefined ? {} : { note }),
    });
  }

  /**
   * By how many times `own` is faster than the best of PyTorch's modes.
   * @type {(what: string, wanted: number, quantity: ById, own: string, idOf: IdOf, modes?: readonly string[]) => void}
   */
  faster(what, wanted, quantity, own, idOf, modes) {
    const best = this.q.best(quantity, idOf, modes);
    const mode = best.mode ?? (modes ?? TORCH_MODES)[0] ?? '';
    const how = best.mode === undefined ? {} : { note: `PyTorch, ${best.mode}` };
    this.add(what, wanted, ratio(best.values, quantity(own)), [own, idOf(mode)], how);
  }

  /** @type {(what: string, wanted: number, own: string, idOf: IdOf) => void} */
  memory(what, wanted, own, idOf) {
    const { q } = this;
    const best = q.best(q.memory, idOf);
    this.add(what, wanted, ratio(q.memory(own), best.values), [own, idOf('eager')], {
      direction: 'at most',
      unit: 'share',
      ...(best.mode === undefined ? {} : { note: `PyTorch's smallest: ${best.mode}` }),
    });
  }
}

/**
 * @param {Quantities} q
 * @returns {Claim[]}
 */
export function claimsOf(q) {
  const claims = new Claims(q);
  claimFirstEpoch(claims);
  claimTrainings(claims);
  claimBusy(claims);
  claimLaterEpochs(claims);
  claimSteps(claims);
  claimCores(claims);
  claimMemory(claims);
  claimInt8(claims);
  claimOverhead(claims);
  return claims.all;
}

/** @param {Claims} claims */
function claimFirstEpoch(claims) {
  const { q } = claims;
  const inference = q.of('inference', ({ imagesPerSecond }) => imagesPerSecond);
  const best = q.result('inference')?.best;
  const note = best
    ? `${best.sessions} ${best.sessions === 1 ? 'session' : 'sessions'} of ${best.threads} ${best.threads === 1 ? 'thread' : 'threads'}, ${best.batch} in a run`
    : undefined;
  /** @type {(what: string, own: string) => void} */
  const againstInference = (what, own) =>
    claims.add(what, 0.85, ratio(q.firstRate(own), inference), [own, 'inference'], {
      unit: 'share',
      ...(note === undefined ? {} : { note }),
    });
  againstInference("F1C1, first epoch, against ONNX Runtime's own best inference", F1C1);
  againstInference('the same, photos of 224 px', 'photos/224px/ort-tl');
  const [own, sharp] = ['photos/12mp/ort-tl', 'photos/12mp/sharp'];
  claims.add(
    'F1C1, first epoch, photos of 12 megapixels, against decoding alone',
    0.85,
    ratio(
      q.firstRate(own),
      q.of(sharp, ({ photosPerSecond }) => photosPerSecond),
    ),
    [own, sharp],
    { unit: 'share', note: 'sharp, in its own way' },
  );
  claims.faster('F1C1, first epoch, against eager', 2, q.first, F1C1, usual('F1C1'), ['eager']);
  claims.faster('F1C1, first epoch, against compiled', 1.3, q.first, F1C1, usual('F1C1'), ['compile', 'compile-bf16']);
  claims.faster('F1C1, first epoch, against eager bf16', 1.3, q.first, F1C1, usual('F1C1'), ['bf16']);
}

/** @param {Claims} claims */
function claimTrainings(claims) {
  const { q } = claims;
  claims.faster('F1C1, whole training, against PyTorch the usual way', 16, q.whole, F1C1, usual('F1C1'));
  const byHand = 'F1C1, whole training, against PyTorch with features cached by hand';
  claims.faster(byHand, 2.2, q.whole, F1C1, cached('F1C1'));
}

/**
 * Both sides beside a process that keeps a core busy.
 * @param {Claims} claims
 */
function claimBusy(claims) {
  const { q } = claims;
  const own = busy(F1C1);
  /** @type {(idOf: IdOf) => IdOf} */
  const busyOf = (idOf) => (mode) => busy(idOf(mode));
  const where = 'both beside one busy process';
  claims.faster(`F1C1, whole training, against the usual way, ${where}`, 16, q.whole, own, busyOf(usual('F1C1')));
  claims.faster(`F1C1, whole training, against cached by hand, ${where}`, 2.2, q.whole, own, busyOf(cached('F1C1')));
  claims.add(
    'F1C1, first epoch beside one busy process, against a quiet one',
    1.35,
    ratio(q.first(own), q.first(F1C1)),
    [own, F1C1],
    { direction: 'at most', note: 'times as long' },
  );
}

/** @param {Claims} claims */
function claimLaterEpochs(claims) {
  const { q } = claims;
  const limit = q.of('machine', ({ multiplyAddsPerSecond }) => multiplyAddsPerSecond);
  // The narrower the instructions, the more of a small Gemm's time is not multiplying.
  const wanted = q.machine.includes('AVX-512') ? 0.65 : 0.6;
  claims.faster('F1C1, an epoch after the first, against the usual way', 20, q.later, F1C1, usual('F1C1'));
  claims.add(
    "the same, against the machine's limit",
    wanted,
    inEachRound(
      (multiplyAdds, seconds, rate) => multiplyAdds / rate / seconds,
      q.of(F1C1, ({ trainPhotos, valPhotos, cost }) => {
        const { forwardMultiplyAdds: forward, backwardMultiplyAdds: backward } = cost;
        return trainPhotos * (forward + backward) + valPhotos * forward;
      }),
      q.later(F1C1),
      limit,
    ),
    [F1C1, 'machine'],
    { unit: 'share', note: "the epoch's multiply-adds, evaluation included, at the rate of a large Gemm" },
  );
  const step = 'steps/F1C1-32/ort-tl';
  claims.add(
    'the step alone, against that limit',
    wanted,
    inEachRound(
      (multiplyAdds, ms, rate) => multiplyAdds / rate / (ms / 1000),
      q.of(step, ({ batch, cost }) => batch * (cost.forwardMultiplyAdds + cost.backwardMultiplyAdds)),
      q.of(step, ({ trainedStepMs }) => trainedStepMs?.median),
      limit,
    ),
    [step, 'machine'],
    { unit: 'share', note: 'the same' },
  );
  for (const policy of ['blocks:2', 'F1C3']) {
    const what = `${policy}, an epoch after the first, against PyTorch with features cached by hand`;
    claims.faster(what, 1.5, q.later, `train/${policy}/ort-tl`, cached(policy));
  }
  claims.faster('F1C0, an epoch after the first, against the usual way', 1000, q.later, F1C0, usual('F1C0'));
}

/** @param {Claims} claims */
function claimSteps(claims) {
  const { q } = claims;
  const vendor = 'steps/F1C1-32/onnxruntime-training';
  const measured = ratio(q.step(vendor), q.step('steps/F1C1-32/ort-tl'));
  const note = "the vendor's training wheel, batch 32";
  claims.add('F1C1, a step with the frozen part inside', 2, measured, [vendor], { note });
  for (const batch of [16, 32]) {
    const own = `steps/full-${batch}/ort-tl`;
    claims.faster(`full, a step of batch ${batch}`, 1.4, q.step, own, (mode) => `steps/full-${batch}/torch/${mode}`);
    claims.add(
      `full, a step of batch ${batch}, against three times inference`,
      0.6,
      inEachRound(
        (inference, step) => (3 * inference) / step,
        q.of('machine', ({ inferenceMs }) => inferenceMs[batch]?.median),
        q.step(own),
      ),
      ['machine', own],
      { unit: 'share', note: "ONNX Runtime's own inference of the same batch" },
    );
  }
  const cuda = 'steps/full-32/ort-tl/cuda';
  claims.add('full, a step of batch 32 by CUDA', 40, q.step(cuda), [cuda], { direction: 'at most', unit: 'ms' });
}

/**
 * What more cores bring: the first epoch, and an epoch that trains everything.
 * @param {Claims} claims
 */
function claimCores(claims) {
  const { q } = claims;
  const steps = /** @type {const} */ ([
    { from: 1, to: 2, first: 1.9, full: 1.8 },
    { from: 2, to: 16, first: 6, full: 5 },
  ]);
  for (const { from, to, first, full } of steps)
    for (const { policy, wanted, quantity, what } of [
      { policy: /** @type {const} */ ('F1C1'), wanted: first, quantity: q.first, what: 'F1C1, first epoch' },
      {
        policy: /** @type {const} */ ('full'),
        wanted: full,
        quantity: q.later,
        what: 'full, an epoch after the first',
      },
    ]) {
      const [few, many] = [onCores(q, from, policy), onCores(q, to, policy)];
      const whole = `${what}, ${from} → ${to} cores`;
      if (q.cores >= to) claims.add(whole, wanted, ratio(quantity(few), quantity(many)), [few, many]);
      else
        claims.all.push({
          what: whole,
          wanted,
          direction: 'at least',
          unit: 'times',
          measured: new Map(),
          missing: `the machine has ${q.cores}`,
        });
    }
}

/** @param {Claims} claims */
function claimMemory(claims) {
  const { q } = claims;
  /** @type {IdOf} */
  const full16 = (mode) => `steps/full-16/torch/${mode}`;
  claims.memory('peak memory, F1C1, batch 32', 0.3, F1C1, usual('F1C1'));
  claims.add('peak memory, F1C1 with `--memory 256`', 256e6, q.memory(LIMITED), [LIMITED], {
    direction: 'at most',
    unit: 'bytes',
  });
  claims.add('its speed, against without `--memory`', 0.7, ratio(q.whole(F1C1), q.whole(LIMITED)), [LIMITED, F1C1], {
    unit: 'share',
    note: 'the whole training',
  });
  claims.memory('peak memory, full, batch 16', 1, 'steps/full-16/ort-tl', full16);
  const limited = 'train/full/ort-tl/memory-512';
  claims.memory('the same with `--memory 512`', 1 / 3, limited, full16);
  const speed = ratio(q.later('train/full/ort-tl'), q.later(limited));
  claims.add('its speed, against without `--memory`', 0.6, speed, [limited, 'train/full/ort-tl'], { unit: 'share' });
}

/** @param {Claims} claims */
function claimInt8(claims) {
  const { q } = claims;
  claims.faster('F1C1 with `--frozen int8`, whole training, against the usual way', 15, q.whole, INT8, usual('F1C1'));
  claims.faster('the same, against cached by hand', 2, q.whole, INT8, cached('F1C1'));
  claims.add(
    'what `--frozen int8` loses of top-1',
    0.005,
    inEachRound((a, b) => a - b, q.of(F1C1, bestTop1), q.of(INT8, bestTop1)),
    [INT8, F1C1],
    { direction: 'at most', unit: 'share' },
  );
}

/** @param {Claims} claims */
function claimOverhead(claims) {
  const { q } = claims;
  for (const policy of ['F1C1', 'F1C0']) {
    const id = `profile/${policy}`;
    const javascript = q.of(id, (result) => result.javascript);
    claims.add(`time in JavaScript, epochs after the first, ${policy}`, 0.05, javascript, [id], {
      direction: 'at most',
      unit: 'share',
      note: 'of the thread that trains, under the profiler, with all that it calls but ONNX Runtime and the file system',
    });
  }
  const help = q.of('help', ({ helpMs }) => helpMs?.median);
  claims.add('`ort-tl --help`, whole process', 150, help, ['help'], { direction: 'at most', unit: 'ms' });
  claims.add(
    '`ort-tl --help`, against `node -e 0`',
    1.6,
    q.of('help', ({ helpMs, nodeMs }) => helpMs && nodeMs && helpMs.median / nodeMs.median),
    ['help'],
    { direction: 'at most' },
  );
}
