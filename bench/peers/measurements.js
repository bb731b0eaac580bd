// What is measured, as a list: an id, how often, and how. Each runs in a process of its own.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { reading } from './result.js';
import { helpOfTrain, laterSeconds, measureHelp, measureProfile, measureTraining } from './ort-tl.js';

/** @import { Records } from '../../dist/bench/records.js' */
/** @import { Quantity, Result } from './result.js' */
/** @import { TrainingSettings } from './ort-tl.js' */
/**
 * @typedef {object} Measurement
 * @property {string} id
 * @property {() => Promise<Record<string, unknown>>} run
 * @property {boolean} once whether the first round alone has it
 * @property {string} [mode] PyTorch's
 * @property {string} [group] what the modes that are compared have in common
 * @property {Quantity} [quantity] by which they are compared
 */

export const TORCH_MODES = ['eager', 'bf16', 'compile', 'compile-bf16'];
/** The steps that are measured alone. */
const STEPS = [
  { policy: 'F1C1', batch: 32 },
  { policy: 'full', batch: 16 },
  { policy: 'full', batch: 32 },
];
/** A mode of PyTorch that is so many times slower than the best one in the first round is not measured again; eager always is. */
const WORTH_REPEATING = 1.15;

/** Ends the measurement under way. */
export const stopping = new AbortController();

/** @param {string} name */
const at = (name) => fileURLToPath(new URL(name, import.meta.url));

/**
 * Runs `command` and reads the last line that it prints.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {Readonly<Record<string, string>>} env
 */
async function json(command, args, env = {}) {
  try {
    const { stdout } = await promisify(execFile)(command, args, {
      maxBuffer: 1e9,
      signal: stopping.signal,
      env: { ...process.env, ...env },
    });
    return z.record(z.string(), z.unknown()).parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''));
  } catch (thrown) {
    // A wheel's own crash, or the system's when memory runs out, leaves nothing but the signal.
    const { signal, stderr = '', message = String(thrown) } = failureSchema.catch({}).parse(thrown);
    throw new Error(signal ? `ended by ${signal}` : lastLine(stderr) || lastLine(message), { cause: thrown });
  }
}

/** What `execFile` throws. */
const failureSchema = z.object({
  signal: z.string().nullish(),
  stderr: z.string().optional(),
  message: z.string().optional(),
});

/** @param {string} text */
const lastLine = (text) => (text.trim().split('\n').at(-1) ?? '').slice(0, 300);

/**
 * @typedef {object} Options
 * @property {string} model
 * @property {{ all: string, part: string, few: string }} lists of photos
 * @property {ReadonlyMap<string, string>} plans by list and policy
 * @property {number} epochs
 * @property {number} steps how many are timed
 * @property {number} classes
 * @property {number} threads 0 for as many as there are cores
 * @property {string | undefined} torch a Python interpreter
 * @property {string | undefined} ort a Python interpreter
 * @property {() => Promise<string>} web gives the folder of onnxruntime-web
 * @property {() => Promise<string>} tfjs gives the folder of TensorFlow.js
 * @property {string} work a folder
 */

/** @param {Options} options */
export function measurementsOf(options) {
  const { model, lists, plans, epochs, torch, ort, web, tfjs, work, threads } = options;
  const steps = String(options.steps);
  /** @type {Measurement[]} */
  const found = [];
  /** @type {(id: string, run: Measurement['run'], rest?: Partial<Measurement>) => void} */
  const add = (id, run, { once = false, ...rest } = {}) => {
    found.push({ ...rest, id, run, once });
  };
  /** @param {string} name */
  const planOf = (name) => {
    const plan = plans.get(name);
    if (plan === undefined) throw new Error(`no plan of ${name}`);
    return plan;
  };
  /** @type {(what: string, flag: string) => Measurement['run']} */
  const missing = (what, flag) => () => Promise.reject(new Error(`no ${what} (${flag})`));
  const withThreads = threads ? ['--threads', String(threads)] : [];

  /** @type {(list: keyof Options['lists'], policy: string, settings?: Partial<TrainingSettings>) => Promise<Record<string, unknown>>} */
  const train = (list, policy, settings = {}) =>
    measureTraining({
      model,
      data: lists[list],
      policy,
      epochs,
      ...settings,
      flags: [...withThreads, ...(settings.flags ?? [])],
    });
  /** @type {(name: string, run: Measurement['run']) => Measurement['run']} */
  const withFlag = (name, run) => async () => {
    if (!(await helpOfTrain()).includes(`${name} `)) throw new Error(`this version of ort-tl has no ${name}`);
    return run();
  };
  add('train/F1C1/ort-tl', () => train('all', 'F1C1'));
  add('train/F1C0/ort-tl', () => train('all', 'F1C0'));
  add(
    'train/F1C1/ort-tl/int8',
    withFlag('--frozen', () => train('all', 'F1C1', { flags: ['--frozen', 'int8'] })),
  );
  for (const policy of ['F1C1', 'F1C0'])
    add(`profile/${policy}`, () => measureProfile({ model, data: lists.all, policy, epochs, flags: withThreads }));
  const full = { epochs: 2, batch: 16 };
  add('train/full/ort-tl', () => train('few', 'full', full));
  const limited = { ...full, flags: ['--memory', '512'] };
  add(
    'train/full/ort-tl/memory-512',
    withFlag('--memory', () => train('few', 'full', limited)),
  );

  // Inductor keeps what it compiled, so that only the first round waits for it; that time is told apart anyway.
  const inductor = { TORCHINDUCTOR_CACHE_DIR: join(work, 'inductor') };
  /** @type {(args: readonly string[]) => Measurement['run']} */
  const python = (args) =>
    torch
      ? () => json(torch, [at('pytorch.py'), ...args, ...withThreads], inductor)
      : missing('Python with PyTorch', '--python-torch');
  for (const mode of TORCH_MODES) {
    for (const policy of ['F1C1', 'F1C0'])
      add(
        `train/${policy}/torch/${mode}/usual`,
        python(['train', '--plan', planOf(`part/${policy}`), '--mode', mode, '--run-epochs', '2']),
        { mode, group: `train/${policy}/torch/usual`, quantity: ({ epochs }) => laterSeconds(epochs) },
      );
    add(
      `train/F1C1/torch/${mode}/cached`,
      python(['train', '--plan', planOf('part/F1C1'), '--mode', mode, '--features', 'cached']),
      { mode, group: 'train/F1C1/torch/cached', quantity: (result) => wholeSeconds(result, epochs) },
    );
  }

  /** @type {(args: readonly string[]) => Measurement['run']} */
  const own = (args) => () =>
    json(process.execPath, [at('ort-tl.js'), ...args, '--model', model, '--steps', steps, ...withThreads]);
  add('machine', own(['machine', '--batches', '16,32']));
  for (const { policy, batch } of STEPS) {
    const id = `steps/${policy}-${batch}`;
    const which = ['--policy', policy, '--batch', String(batch)];
    const classes = ['--classes', String(options.classes)];
    add(`${id}/ort-tl`, own(['steps', ...which, ...classes]));
    for (const mode of TORCH_MODES)
      add(
        `${id}/torch/${mode}`,
        python(['steps', '--plan', planOf('part/F1C1'), '--mode', mode, ...which, '--steps', steps]),
        {
          mode,
          group: `${id}/torch`,
          quantity: ({ stepMs }) => stepMs?.median,
        },
      );
    const vendor = [at('onnxruntime_training.py'), '--model', model, ...which, ...classes, ...withThreads];
    add(
      `${id}/onnxruntime-training`,
      ort
        ? () => json(ort, [...vendor, '--steps', steps])
        : missing('Python with onnxruntime-training', '--python-ort'),
    );
  }
  add('help', () => measureHelp(Number(steps) < 5 ? 3 : 10));

  // The WebAssembly build runs the artifacts that the wheel makes.
  for (const { policy, batch } of STEPS.slice(0, 2)) {
    const artifacts = join(work, `artifacts-${policy}-${batch}`);
    const which = ['--batch', String(batch), '--classes', String(options.classes)];
    add(
      `steps/${policy}-${batch}/onnxruntime-web`,
      async () => {
        if (!ort) throw new Error('no Python with onnxruntime-training (--python-ort), which makes its artifacts');
        if (!existsSync(join(artifacts, 'optimizer_model.onnx')))
          await json(ort, [
            at('onnxruntime_training.py'),
            '--model',
            model,
            '--policy',
            policy,
            ...which,
            '--steps',
            '1',
            '--keep',
            artifacts,
          ]);
        return json(process.execPath, [
          at('wasm.js'),
          '--package',
          await web(),
          '--artifacts',
          artifacts,
          ...which,
          '--steps',
          '2',
        ]);
      },
      { once: true },
    );
  }
  add(
    'steps/F1C1-32/tensorflow.js',
    async () => {
      const args = ['--package', await tfjs(), '--model', model, '--classes', String(options.classes), '--steps', '2'];
      return json(process.execPath, [at('tensorflow.js'), ...args]);
    },
    { once: true },
  );

  // The same photos, order and rates in both: do the losses agree?
  add('same/F1C1/ort-tl', () => train('part', 'F1C1'), { once: true });
  add('same/F1C0/ort-tl', () => train('part', 'F1C0'), { once: true });
  add('same/full/ort-tl', () => train('few', 'full', { epochs: 2 }), { once: true });
  add('same/full/torch', python(['train', '--plan', planOf('few/full')]), { once: true });
  // And at full length, for the accuracy, and for what is reckoned from a part of the photos.
  add('same/F1C1/torch/all', python(['train', '--plan', planOf('all/F1C1'), '--features', 'cached']), { once: true });

  return found;
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
 * Whether a later round should measure `each` again, by what the first one found of all in its group.
 * @param {Measurement} each
 * @param {readonly Measurement[]} all
 * @param {Records} records
 * @param {string} setting
 */
export function isWorthRepeating(each, all, records, setting) {
  if (!each.group || each.mode === 'eager') return true;
  /** @param {Measurement} measurement */
  const firstRound = ({ id, quantity }) => quantity && records.values(id, setting, reading(quantity)).get(1);
  const own = firstRound(each);
  const best = Math.min(...all.filter(({ group }) => group === each.group).flatMap((other) => firstRound(other) ?? []));
  return own === undefined || own <= WORTH_REPEATING * best;
}
