// What is measured, as a list: an id, how often, and how. Each runs in a process of its own.
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { besideBusyProcess } from './busy.js';
import { measureHelp } from './help.js';
import { drawPhotos, PHONE, SMALL } from './photos.js';
import { json } from './process.js';
import { measureProfile } from './profile.js';
import { helpOfTrain, laterSeconds, measureTraining } from './training.js';

/** @import { Quantity, Result } from './result.js' */
/** @import { TrainingSettings } from './training.js' */
/**
 * @typedef {object} Measurement
 * @property {string} id
 * @property {() => Promise<Record<string, unknown>>} run
 * @property {boolean} once whether the first round alone has it
 * @property {string} [mode] PyTorch's
 * @property {string} [group] what the modes that are compared have in common
 * @property {Quantity} [quantity] by which they are compared
 * @property {string} [quiet] the same without a busy process beside it, by which its mode is judged
 */
/**
 * @typedef {object} Options
 * @property {string} model
 * @property {{ all: string, part: string, few: string }} lists of photos
 * @property {ReadonlyMap<string, string>} plans by list and policy
 * @property {number} epochs
 * @property {number} steps how many are timed
 * @property {number} classes
 * @property {number} threads 0 for as many as there are cores
 * @property {boolean} quick whether everything is to be as small as it can be
 * @property {string | undefined} torch a Python interpreter
 * @property {string | undefined} ort a Python interpreter
 * @property {() => Promise<string>} web gives the folder of onnxruntime-web
 * @property {() => Promise<string>} tfjs gives the folder of TensorFlow.js
 * @property {string} work a folder
 */

export const TORCH_MODES = ['eager', 'bf16', 'compile', 'compile-bf16'];
/** Policies of which PyTorch trains with the features of all photos kept. */
export const CACHED = ['F1C1', 'F1C3', 'blocks:2'];
/** The steps that are measured alone. */
const STEPS = [
  { policy: 'F1C1', batch: 32 },
  { policy: 'full', batch: 16 },
  { policy: 'full', batch: 32 },
];
/** Photos that are drawn for each core: a session that shares the frozen part with others wants 64 or more. */
const DRAWN = { [`${SMALL.width}px`]: { kind: SMALL, aCore: 512 }, '12mp': { kind: PHONE, aCore: 128 } };
/** A mode of PyTorch that is so many times slower than the best one in the first round is not measured again; eager always is. */
const WORTH_REPEATING = 1.15;
/** Beside a busy process another mode may be the best one. */
const WORTH_TRYING_BUSY = 1.5;

/** @param {string} name */
const at = (name) => fileURLToPath(new URL(name, import.meta.url));

/**
 * The same quantities for a part of the machine's cores: one, two, and what of the larger machines is compared with two.
 * @param {number} cores
 */
export const fewerCores = (cores) => [1, 2, 16].filter((count) => count < cores);

/** Says of what the list consists, each by its measurements. */
class List {
  /** @type {Measurement[]} */
  all = [];

  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    this.cores = options.threads || availableParallelism();
    this.withThreads = options.threads ? ['--threads', String(options.threads)] : [];
  }

  /** @type {(id: string, run: Measurement['run'], rest?: Partial<Measurement>) => void} */
  add(id, run, { once = false, ...rest } = {}) {
    this.all.push({ ...rest, id, run, once });
  }

  /** @type {(data: string, policy: string, settings?: Partial<TrainingSettings>) => Promise<Record<string, unknown>>} */
  train(data, policy, settings = {}) {
    const { model, epochs } = this.options;
    // What runs on fewer cores finds out by itself how many these are.
    const threads = settings.cores === undefined ? this.withThreads : [];
    return measureTraining({
      model,
      data,
      policy,
      epochs,
      ...settings,
      flags: [...threads, ...(settings.flags ?? [])],
    });
  }

  /** @type {(args: readonly string[]) => Measurement['run']} */
  python(args) {
    const { torch, work } = this.options;
    if (!torch) return () => Promise.reject(new Error('no Python with PyTorch (--python-torch)'));
    if (!args.includes('--plan')) return () => Promise.reject(new Error('the model has no such policy'));
    // Inductor keeps what it compiled, so that only the first round waits for it; that time is told apart anyway.
    const env = { TORCHINDUCTOR_CACHE_DIR: join(work, 'inductor') };
    return () => json(torch, [at('pytorch.py'), ...args, ...this.withThreads], env);
  }

  /** @type {(args: readonly string[], env?: Record<string, string>) => Measurement['run']} */
  own(args, env = {}) {
    return () => json(process.execPath, [at('ort-tl.js'), ...args, ...this.withThreads], env);
  }

  /** @param {string} name */
  planOf(name) {
    const plan = this.options.plans.get(name);
    return plan === undefined ? [] : ['--plan', plan];
  }
}

/** @param {Options} options */
export function measurementsOf(options) {
  const list = new List(options);
  addTrainings(list);
  addTorchTrainings(list);
  addLimits(list);
  addSteps(list);
  addBusy(list);
  addFewerCores(list);
  addDrawnPhotos(list);
  addWebAssembly(list);
  addSame(list);
  return list.all;
}

/** Both `full` trainings: as short as will do. */
const FULL = { epochs: 2, batch: 16 };

/** @param {List} list */
function addTrainings(list) {
  const { lists, model, epochs } = list.options;
  /** @type {(name: string, run: Measurement['run']) => Measurement['run']} */
  const withFlag = (name, run) => async () => {
    if (!(await helpOfTrain()).includes(`${name} `)) throw new Error(`this version of ort-tl has no ${name}`);
    return run();
  };
  list.add('train/F1C1/ort-tl', () => list.train(lists.all, 'F1C1'));
  list.add('train/F1C0/ort-tl', () => list.train(lists.all, 'F1C0'));
  list.add(
    'train/F1C1/ort-tl/int8',
    withFlag('--frozen', () => list.train(lists.all, 'F1C1', { flags: ['--frozen', 'int8'] })),
  );
  list.add(
    'train/F1C1/ort-tl/memory-256',
    withFlag('--memory', () => list.train(lists.all, 'F1C1', { flags: ['--memory', '256'] })),
  );
  for (const policy of ['F1C3', 'blocks:2']) list.add(`train/${policy}/ort-tl`, () => list.train(lists.part, policy));
  for (const policy of ['F1C1', 'F1C0'])
    list.add(`profile/${policy}`, () =>
      measureProfile({ model, data: lists.all, policy, epochs, flags: list.withThreads }),
    );
  list.add('train/full/ort-tl', () => list.train(lists.few, 'full', FULL));
  const limited = { ...FULL, flags: ['--memory', '512'] };
  list.add(
    'train/full/ort-tl/memory-512',
    withFlag('--memory', () => list.train(lists.few, 'full', limited)),
  );
}

/**
 * @param {List} list
 * @param {string} mode
 * @param {string} policy
 */
const usualOf = (list, mode, policy) =>
  list.python(['train', ...list.planOf(`part/${policy}`), '--mode', mode, '--run-epochs', '2']);
/** @type {typeof usualOf} */
const cachedOf = (list, mode, policy) =>
  list.python(['train', ...list.planOf(`part/${policy}`), '--mode', mode, '--features', 'cached']);

/** @param {List} list */
function addTorchTrainings(list) {
  /** @type {Quantity} */
  const later = ({ epochs }) => laterSeconds(epochs);
  /** @type {Quantity} */
  const whole = (result) => wholeSeconds(result, list.options.epochs);
  for (const mode of TORCH_MODES) {
    for (const policy of ['F1C1', 'F1C0'])
      list.add(`train/${policy}/torch/${mode}/usual`, usualOf(list, mode, policy), {
        mode,
        group: `train/${policy}/torch/usual`,
        quantity: later,
      });
    for (const policy of CACHED)
      list.add(`train/${policy}/torch/${mode}/cached`, cachedOf(list, mode, policy), {
        mode,
        group: `train/${policy}/torch/cached`,
        quantity: policy === 'F1C1' ? whole : later,
      });
  }
}

/** @param {List} list */
function addLimits(list) {
  const { model, steps, quick } = list.options;
  list.add('machine', list.own(['machine', '--model', model, '--steps', String(steps), '--batches', '16,32']));
  list.add('inference', list.own(['inference', '--model', model, '--milliseconds', quick ? '200' : '2000']));
  list.add('help', () => measureHelp(steps < 5 ? 3 : 10));
}

/** @typedef {typeof STEPS[number]} Step */
/** @param {Step} step */
const stepId = ({ policy, batch }) => `steps/${policy}-${batch}`;
/** @type {(list: List, step: Step, more?: readonly string[]) => Measurement['run']} */
const ownSteps = (list, { policy, batch }, more = []) => {
  const { model, steps, classes } = list.options;
  const which = ['--policy', policy, '--batch', String(batch), '--classes', String(classes)];
  return list.own(['steps', '--model', model, '--steps', String(steps), ...which, ...more]);
};
/** @type {(list: List, step: Step, mode: string) => Measurement['run']} */
const torchSteps = (list, { policy, batch }, mode) => {
  const which = ['--mode', mode, '--policy', policy, '--batch', String(batch)];
  return list.python(['steps', ...list.planOf('part/F1C1'), ...which, '--steps', String(list.options.steps)]);
};
/** @type {Quantity} */
const stepMsOf = ({ stepMs }) => stepMs?.median;

/** @param {List} list */
function addSteps(list) {
  const { model, ort, steps, classes } = list.options;
  for (const step of STEPS) {
    const id = stepId(step);
    list.add(`${id}/ort-tl`, ownSteps(list, step));
    for (const mode of TORCH_MODES)
      list.add(`${id}/torch/${mode}`, torchSteps(list, step, mode), { mode, group: `${id}/torch`, quantity: stepMsOf });
    const which = ['--policy', step.policy, '--batch', String(step.batch), '--classes', String(classes)];
    const vendor = [at('onnxruntime_training.py'), '--model', model, ...which, ...list.withThreads];
    list.add(`${id}/onnxruntime-training`, () => {
      if (!ort) throw new Error('no Python with onnxruntime-training (--python-ort)');
      return json(ort, [...vendor, '--steps', String(steps)]);
    });
  }
  list.add('steps/full-32/ort-tl/cuda', ownSteps(list, { policy: 'full', batch: 32 }, ['--provider', 'cuda']));
}

/**
 * On a machine that has something else to do, as devices have.
 * @param {List} list
 */
function addBusy(list) {
  const step = { policy: 'full', batch: 16 };
  const id = stepId(step);
  /** @type {(quiet: string, run: Measurement['run'], rest?: Partial<Measurement>) => void} */
  const add = (quiet, run, rest) => list.add(`busy/${quiet}`, () => besideBusyProcess(run), { ...rest, quiet });
  add('train/F1C1/ort-tl', () => list.train(list.options.lists.all, 'F1C1'));
  add(`${id}/ort-tl`, ownSteps(list, step));
  for (const { id: quiet, mode = '', group, quantity } of list.all.filter((each) => each.mode)) {
    const rest = { mode, ...(group ? { group } : {}), ...(quantity ? { quantity } : {}) };
    if (quiet === `train/F1C1/torch/${mode}/usual`) add(quiet, usualOf(list, mode, 'F1C1'), rest);
    if (quiet === `train/F1C1/torch/${mode}/cached`) add(quiet, cachedOf(list, mode, 'F1C1'), rest);
    if (quiet === `${id}/torch/${mode}`) add(quiet, torchSteps(list, step, mode), rest);
  }
}

/** @param {List} list */
function addFewerCores(list) {
  const { lists } = list.options;
  for (const cores of fewerCores(list.cores)) {
    list.add(`cores/${cores}/F1C1`, () => list.train(lists.all, 'F1C1', { cores, epochs: 2 }));
    list.add(`cores/${cores}/full`, () => list.train(lists.few, 'full', { ...FULL, cores }));
  }
}

/** @param {List} list */
function addDrawnPhotos(list) {
  const { work, quick } = list.options;
  for (const [name, { kind, aCore }] of Object.entries(DRAWN)) {
    const photos = quick ? 16 : aCore * list.cores;
    const pictures = quick ? 2 : Math.min(photos, 16);
    /** @type {Promise<string> | undefined} */
    let drawn;
    const set = () => (drawn ??= drawPhotos(join(work, name), { kind, photos, pictures }));
    list.add(`photos/${name}/ort-tl`, async () => list.train(await set(), 'F1C1', { epochs: 2 }));
    // libuv has four threads otherwise, however many cores there are.
    const env = { UV_THREADPOOL_SIZE: String(Math.max(4, list.cores)) };
    list.add(`photos/${name}/sharp`, async () => list.own(['decoding', '--data', await set()], env)());
  }
}

/**
 * The WebAssembly build runs the artifacts that the wheel makes.
 * @param {List} list
 */
function addWebAssembly(list) {
  const { work, classes, model, ort, web, tfjs } = list.options;
  for (const { policy, batch } of STEPS.slice(0, 2)) {
    const artifacts = join(work, `artifacts-${policy}-${batch}`);
    const which = ['--batch', String(batch), '--classes', String(classes)];
    const make = [at('onnxruntime_training.py'), '--model', model, '--policy', policy, ...which, '--steps', '1'];
    const run = async () => {
      if (!ort) throw new Error('no Python with onnxruntime-training (--python-ort), which makes its artifacts');
      if (!existsSync(join(artifacts, 'optimizer_model.onnx'))) await json(ort, [...make, '--keep', artifacts]);
      const given = ['--package', await web(), '--artifacts', artifacts, ...which, '--steps', '2'];
      return json(process.execPath, [at('wasm.js'), ...given]);
    };
    list.add(`steps/${policy}-${batch}/onnxruntime-web`, run, { once: true });
  }
  const run = async () => {
    const args = ['--package', await tfjs(), '--model', model, '--classes', String(classes), '--steps', '2'];
    return json(process.execPath, [at('tensorflow.js'), ...args]);
  };
  list.add('steps/F1C1-32/tensorflow.js', run, { once: true });
}

/**
 * The same photos, order and rates in both: do the losses agree?
 * @param {List} list
 */
function addSame(list) {
  const { lists } = list.options;
  list.add('same/F1C1/ort-tl', () => list.train(lists.part, 'F1C1'), { once: true });
  list.add('same/F1C0/ort-tl', () => list.train(lists.part, 'F1C0'), { once: true });
  list.add('same/full/ort-tl', () => list.train(lists.few, 'full', { epochs: 2 }), { once: true });
  list.add('same/full/torch', list.python(['train', ...list.planOf('few/full')]), { once: true });
  // And at full length, for the accuracy, and for what is reckoned from a part of the photos.
  const all = ['train', ...list.planOf('all/F1C1'), '--features', 'cached'];
  list.add('same/F1C1/torch/all', list.python(all), { once: true });
}

/**
 * Seconds of a training of `epochs`, of which fewer may have been run: the later ones take as long as each other.
 * @param {Pick<Result, 'prepareS' | 'epochs'>} result
 * @param {number} count
 */
export function wholeSeconds({ prepareS = NaN, epochs }, count) {
  return prepareS + (epochs[0]?.seconds ?? NaN) + (count - 1) * laterSeconds(epochs);
}

/**
 * Whether `each` is to be measured, by what the first round found of all in its group: in later rounds only what is near the best one
 * there, and beside a busy process what is not far from it.
 * @param {Measurement} each
 * @param {number} round
 * @param {readonly Measurement[]} all
 * @param {(id: string, quantity: Quantity) => number | undefined} firstRound the quantity that the first round has of a measurement
 */
export function isWorthMeasuring(each, round, all, firstRound) {
  if (!each.group || each.mode === 'eager' || (round === 1 && !each.quiet)) return true;
  /** @param {Measurement} measurement */
  const found = ({ id, quiet = id, quantity }) => quantity && firstRound(quiet, quantity);
  const own = found(each);
  const best = Math.min(...all.filter(({ group }) => group === each.group).flatMap((other) => found(other) ?? []));
  return own === undefined || own <= (each.quiet ? WORTH_TRYING_BUSY : WORTH_REPEATING) * best;
}
