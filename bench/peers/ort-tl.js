// ort-tl's own side of the comparison. Trainings go through its command line, a process each; steps through the classes that
// the trainer uses, in the process that measures.
//   node bench/peers/ort-tl.js steps --model M --policy P --batch N [--classes 6] [--steps 8] [--threads N]
//   node bench/peers/ort-tl.js train --model M --data D --policy P --epochs N --batch N
//   node bench/peers/ort-tl.js profile --model M --data D --policy P --epochs N --batch N     (where a cached epoch's time goes)
//   node bench/peers/ort-tl.js machine --model M --batches 16,32     (ONNX Runtime's own inference, and a large Gemm)
//   node bench/peers/ort-tl.js compile --model M --policy P --batch N --out FOLDER     (what `steps` begins with)
// print a line of JSON.
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { z } from 'zod';
import * as ort from 'onnxruntime-node';
import { loadArtifacts, readModel, writeArtifacts } from 'ort-tl';
import { median, spreadOf } from '../../dist/bench/statistics.js';
import { Builder } from '../../dist/graph/builder.js';
import { modelOfGraph } from '../../dist/graph/proto.js';
import { encodeModel } from '../../dist/onnx/model.js';
import { floatTensor } from '../../dist/onnx/tensor.js';
import { probeBlockSize } from '../../dist/runtime/blockSize.js';
import { Engine } from '../../dist/runtime/engine.js';
import { compileFor } from './plan.js';

/** @import { Epochs } from './result.js' */
/**
 * @typedef {object} TrainingSettings
 * @property {string} model
 * @property {string} data
 * @property {string} policy
 * @property {number} epochs
 * @property {number} [batch]
 * @property {readonly string[]} [flags]
 * @property {(work: string, ended: readonly EndedEpoch[]) => void} [onEnd] is called before the folder of the run is removed
 * @property {(work: string) => readonly string[]} [nodeFlags]
 */

const CLI = fileURLToPath(new URL('../../dist/bin/main.js', import.meta.url));

/** A loss that is not finite is null in JSON. */
const loss = z.number().nullable();
const epochSchema = z.object({
  time: z.string(),
  result: z.object({ elapsedMs: z.number(), trainLoss: loss, valLoss: loss, top1: loss }),
});
/** @typedef {z.infer<typeof epochSchema>} EndedEpoch */
const eventSchema = z.looseObject({ type: z.string() });
const summarySchema = z.object({
  trainPhotos: z.number(),
  valPhotos: z.number(),
  peakRssBytes: z.number(),
  cost: z.looseObject({}),
  batch: z.number(),
});

/** @type {(path: string) => unknown} */
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/**
 * Trains with the command line, and tells how long each epoch took, and how long until the last epoch's end, everything since the
 * process started included.
 * @param {TrainingSettings} settings
 */
export async function measureTraining(settings) {
  const { model, data, policy, epochs, batch = 32, flags = [], onEnd, nodeFlags = () => [] } = settings;
  const work = mkdtempSync(join(tmpdir(), 'ort-tl-peers-'));
  try {
    const out = join(work, 'run');
    const args = ['train', '--model', model, '--data', data, '--policy', policy];
    const common = ['--epochs', String(epochs), '--batch', String(batch), '--out', out, '--quiet'];
    const cached = ['--cache', join(work, 'cache')];
    const began = Date.now();
    const child = spawn(process.execPath, [...nodeFlags(work), CLI, ...args, ...common, ...cached, ...flags], {
      // Nothing that an earlier run kept may help this one.
      env: { ...process.env, XDG_CACHE_HOME: join(work, 'cache') },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let complaint = '';
    child.stderr.on('data', (/** @type {Buffer} */ text) => (complaint += text.toString()));
    /** @type {number | null} */
    const code = await new Promise((resolve) => child.on('close', resolve));
    const processS = (Date.now() - began) / 1000;
    if (code !== 0) throw new Error(complaint.trim().split('\n').at(-1) || `exit code ${code ?? 'none'}`);

    const summary = summarySchema.parse(readJson(join(out, 'summary.json')));
    const events = readFileSync(join(out, 'events.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => eventSchema.parse(JSON.parse(line)));
    const ended = events.filter(({ type }) => type === 'epoch').map((event) => epochSchema.parse(event));
    onEnd?.(work, ended);
    return {
      trainPhotos: summary.trainPhotos,
      valPhotos: summary.valPhotos,
      epochs: ended.map(({ result }) => ({
        seconds: result.elapsedMs / 1000,
        trainLoss: result.trainLoss,
        valLoss: result.valLoss,
        top1: result.top1,
      })),
      trainingS: (timeOf(ended.at(-1)) - began) / 1000,
      processS,
      peakRssBytes: summary.peakRssBytes,
      cost: summary.cost,
      batch: summary.batch,
    };
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** @param {EndedEpoch | undefined} ended */
const timeOf = (ended) => Date.parse(ended?.time ?? '');

/**
 * Trains under V8's profiler, and tells what the engine's thread spent the epochs after the first on, as shares: in ONNX Runtime,
 * reading files, waiting (for the disk and the main thread), and in JavaScript with all that it calls.
 * @param {TrainingSettings} settings
 */
export async function measureProfile(settings) {
  /** @type {Shares[]} */
  const threads = [];
  await measureTraining({
    ...settings,
    nodeFlags: (work) => ['--cpu-prof', '--cpu-prof-dir', work],
    onEnd: (work, ended) => {
      const profiles = readdirSync(work)
        .filter((file) => file.endsWith('.cpuprofile'))
        .map((file) => profileSchema.parse(readJson(join(work, file))));
      // A profile's clock has been running since the system started.
      const clockMs = Date.now() - Number(process.hrtime.bigint()) / 1e6;
      const [from, until] = [1000 * (timeOf(ended[0]) - clockMs), 1000 * (timeOf(ended.at(-1)) - clockMs)];
      threads.push(...profiles.map((each) => sharesOf(each, from, until)));
    },
  });
  return threads.reduce((engine, each) => (each.runtime > engine.runtime ? each : engine));
}

/** @typedef {Record<'runtime' | 'files' | 'waiting' | 'javascript', number>} Shares */
const profileSchema = z.object({
  nodes: z.array(z.object({ id: z.number(), callFrame: z.object({ functionName: z.string(), url: z.string() }) })),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
  startTime: z.number(),
});

/** What native functions that the file system's module calls are named. */
const FILE_CALLS = /^(read|write)(Buffers?|String)?$|^(open|close|fsync|fdatasync|fstat|stat)(FileHandle)?$/;

/**
 * The shares of a V8 profile between two times of its clock, in microseconds.
 * @param {z.infer<typeof profileSchema>} profile
 * @param {number} from
 * @param {number} until
 * @returns {Shares}
 */
function sharesOf({ nodes, samples, timeDeltas, startTime }, from, until) {
  const kinds = new Map(nodes.map(({ id, callFrame }) => [id, kindOf(callFrame)]));
  const total = { runtime: 0, files: 0, waiting: 0, javascript: 0 };
  let at = startTime;
  samples.forEach((id, index) => {
    const delta = timeDeltas[index] ?? 0;
    at += delta;
    const kind = kinds.get(id);
    if (kind && at > from && at <= until) total[kind] += delta;
  });
  const all = Object.values(total).reduce((sum, each) => sum + each, 0);
  /** @param {number} each */
  const share = (each) => (all > 0 ? each / all : 0);
  return {
    runtime: share(total.runtime),
    files: share(total.files),
    waiting: share(total.waiting),
    javascript: share(total.javascript),
  };
}

/**
 * @param {{ functionName: string, url: string }} callFrame
 * @returns {keyof Shares}
 */
function kindOf({ functionName, url }) {
  // Its `run` is native, and called by an anonymous function of this file, which does nothing else.
  if (url.endsWith('onnxruntime-node/dist/backend.js')) return 'runtime';
  if (functionName === '(idle)') return 'waiting';
  return url === '' && FILE_CALLS.test(functionName) ? 'files' : 'javascript';
}

/** What `ort-tl train --help` prints: which flags this version has. */
export async function helpOfTrain() {
  return (await promisify(execFile)(process.execPath, [CLI, 'train', '--help'], { encoding: 'utf8' })).stdout;
}

/** Whole processes of `ort-tl --help`, and of Node.js that does nothing, in turns. */
export async function measureHelp(times = 10) {
  const run = promisify(execFile);
  const commands = { help: [CLI, '--help'], node: ['-e', '0'] };
  /** @type {Record<keyof typeof commands, number[]>} */
  const elapsed = { help: [], node: [] };
  for (let time = 0; time <= times; time++)
    for (const name of /** @type {const} */ (['help', 'node'])) {
      const began = performance.now();
      await run(process.execPath, commands[name]);
      elapsed[name].push(performance.now() - began);
    }
  // The first one reads the files from the disk.
  return { helpMs: spreadOf(elapsed.help.slice(1)), nodeMs: spreadOf(elapsed.node.slice(1)) };
}

/**
 * Milliseconds of `run`, which is called once more before.
 * @param {number} steps
 * @param {() => Promise<unknown>} run
 */
async function timed(steps, run) {
  /** @type {number[]} */
  const elapsed = [];
  for (let step = 0; step <= steps; step++) {
    const began = performance.now();
    await run();
    elapsed.push(performance.now() - began);
  }
  const spread = spreadOf(elapsed.slice(1));
  if (!spread) throw new Error('expected one step or more');
  return spread;
}

/**
 * Steps on a batch of noise, with the frozen part inside and without it.
 * @param {{ model: string, policy: string, batch: number, classes?: number, steps?: number, threads?: number, size?: number }} settings
 */
export async function measureSteps({ model, policy, batch, classes = 6, steps = 8, threads = 0, size }) {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-peers-'));
  // As a training does, in a process of its own, whose memory is given back.
  const given = ['compile', '--model', model, '--policy', policy, '--batch', String(batch)];
  const more = ['--classes', String(classes), '--out', folder, ...(size ? ['--size', String(size)] : [])];
  await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), ...given, ...more]);
  // The frozen part is run on each batch anew.
  const engine = await Engine.start(folder, { slots: batch, threads, images: batch * steps });
  try {
    const { preprocessing, cost } = loadArtifacts(folder).manifest;
    const images = Array.from({ length: batch }, () =>
      noise(new Uint8Array(preprocessing.height * preprocessing.width * 3), (value) => value % 256),
    );
    const labels = Array.from({ length: batch }, (_, index) => index % classes);
    const slots = Int32Array.from(labels.keys());
    let firstStep = 1;
    const step = () => engine.steps({ slots, learningRates: Float32Array.of(1e-4), firstStep: firstStep++ });
    const stepMs = await timed(steps, async () => {
      await engine.store(slots, labels, images);
      await step();
    });
    const peakRssBytes = process.resourceUsage().maxRSS * 1024;
    const forwardMs = await timed(steps, async () => {
      await engine.store(slots, labels, images);
      await engine.evaluate(slots);
    });
    const trainedStepMs = await timed(steps, step);
    return { batch, stepMs, forwardMs, trainedStepMs, peakRssBytes, cost };
  } finally {
    await engine.close();
    rmSync(folder, { recursive: true });
  }
}

/**
 * Writes artifacts to the folder `out`, with the layout that a training on this machine has.
 * @param {{ model: string, policy: string, batch: number, classes: number, out: string, size?: number }} settings
 */
async function compileTo({ model, policy, batch, classes, out, size }) {
  const names = Array.from({ length: classes }, (_, index) => `class ${index}`);
  const blockSize = await probeBlockSize();
  await writeArtifacts(compileFor(readModel(model), names, { policy, batch, size, blockSize }), out);
  return { out };
}

/**
 * Fills `values` with pseudo-random ones: what is all zeros can be unusually fast.
 * @template {Uint8Array | Float32Array} T
 * @param {T} values
 * @param {(value: number) => number} map takes a number of 24 bits
 */
function noise(values, map) {
  let state = 1;
  for (let at = 0; at < values.length; at++) values[at] = map((state = (state * 1664525 + 1013904223) % 2 ** 32) >>> 8);
  return values;
}

/** @type {ort.InferenceSession.SessionOptions} */
const SESSION = { executionMode: 'sequential', interOpNumThreads: 1, logSeverityLevel: 3 };
/** Rows, columns and depth of the Gemm by which the machine is judged: 2·1536³ operations, a tenth of a second on two cores. */
const GEMM_SIDE = 1536;

/**
 * Multiply-adds a second of one large Gemm, the weights constant as in inference, and of the given inference batches.
 * @param {{ model: string, batches: readonly number[], size?: number, steps?: number, threads?: number }} settings
 */
export async function measureMachine({ model, batches, size = 224, steps = 8, threads = 0 }) {
  const options = { ...SESSION, intraOpNumThreads: threads || availableParallelism() };
  const values = noise(new Float32Array(GEMM_SIDE ** 2), (value) => value / 2 ** 24 - 0.5);
  const g = new Builder(17);
  const a = g.input('a', 'float32', [GEMM_SIDE, GEMM_SIDE]);
  g.output('y', g.op('MatMul', [a, g.constant('b', floatTensor([GEMM_SIDE, GEMM_SIDE], values))]));
  const gemm = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'gemm')), options);
  const feeds = { a: new ort.Tensor('float32', values, [GEMM_SIDE, GEMM_SIDE]) };
  const gemmMs = await timed(3 * steps, () => gemm.run(feeds));
  await gemm.release();

  const session = await ort.InferenceSession.create(model, options);
  const [input] = session.inputMetadata;
  if (!input?.isTensor) throw new Error(`${model} takes no tensor`);
  const [height = size, width = size] = input.shape.slice(2).map((dim) => (typeof dim === 'number' ? dim : size));
  /** @type {Record<string, import('../../dist/bench/statistics.js').Spread>} */
  const inferenceMs = {};
  for (const batch of batches) {
    const data = noise(new Float32Array(batch * 3 * height * width), (value) => value / 2 ** 23 - 1);
    const images = { [input.name]: new ort.Tensor('float32', data, [batch, 3, height, width]) };
    inferenceMs[batch] = await timed(steps, () => session.run(images));
  }
  return { multiplyAddsPerSecond: GEMM_SIDE ** 3 / (gemmMs.min / 1000), gemmMs, inferenceMs };
}

/**
 * The median of all epochs but the first.
 * @param {readonly Pick<Epochs[number], 'seconds'>[]} epochs
 */
export const laterSeconds = (epochs) => median(epochs.slice(1).map(({ seconds }) => seconds));

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: 'string', default: '' },
      data: { type: 'string', default: '' },
      epochs: { type: 'string', default: '10' },
      policy: { type: 'string', default: 'F1C1' },
      batch: { type: 'string', default: '32' },
      batches: { type: 'string', default: '16,32' },
      classes: { type: 'string', default: '6' },
      steps: { type: 'string', default: '8' },
      threads: { type: 'string', default: '0' },
      size: { type: 'string' },
      out: { type: 'string', default: '' },
    },
  });
  const [batch, classes] = [Number(values.batch), Number(values.classes)];
  const [steps, threads] = [Number(values.steps), Number(values.threads)];
  const size = values.size ? { size: Number(values.size) } : {};
  const { model, policy } = values;
  /** @type {Readonly<Record<string, () => Promise<unknown>>>} */
  const tasks = {
    machine: () => measureMachine({ model, batches: values.batches.split(',').map(Number), steps, threads, ...size }),
    compile: () => compileTo({ model, policy, batch, classes, out: values.out, ...size }),
    steps: () => measureSteps({ model, policy, batch, classes, steps, threads, ...size }),
    train: () => measureTraining({ model, data: values.data, policy, epochs: Number(values.epochs), batch }),
    profile: () => measureProfile({ model, data: values.data, policy, epochs: Number(values.epochs), batch }),
  };
  const task = tasks[positionals[0] ?? ''];
  if (!task) throw new Error(`expected one of ${Object.keys(tasks).join(', ')}`);
  console.log(JSON.stringify(await task()));
}
