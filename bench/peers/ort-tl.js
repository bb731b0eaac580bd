// ort-tl's own side of the comparison. Trainings go through its command line, a process each; steps through the classes that
// the trainer uses, in the process that measures.
//   node bench/peers/ort-tl.js steps --model M --policy P --batch N [--classes 6] [--steps 8] [--threads N]
//   node bench/peers/ort-tl.js train --model M --data D --policy P --epochs N --batch N
//   node bench/peers/ort-tl.js profile --model M --data D --policy P --epochs N --batch N     (where a cached epoch's time goes)
//   node bench/peers/ort-tl.js machine --model M --batches 16,32     (ONNX Runtime's own inference, and a large Gemm)
// print a line of JSON.
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import * as ort from 'onnxruntime-node';
import { loadArtifacts, readModel, writeArtifacts } from 'ort-tl';
import { median, spreadOf } from '../../dist/bench/statistics.js';
import { Builder } from '../../dist/graph/builder.js';
import { modelOfGraph } from '../../dist/graph/proto.js';
import { encodeModel } from '../../dist/onnx/model.js';
import { floatTensor } from '../../dist/onnx/tensor.js';
import { probeBlockSize } from '../../dist/runtime/blockSize.js';
import { Stepper } from '../../dist/runtime/stepper.js';
import { compileFor } from './plan.js';

const CLI = fileURLToPath(new URL('../../dist/bin/main.js', import.meta.url));

/**
 * Trains with the command line, and tells how long each epoch took, and how long until the last epoch's end, everything since the
 * process started included.
 */
export async function measureTraining(settings) {
  const { model, data, policy, epochs, batch = 32, flags = [], onEnd = () => ({}), nodeFlags = () => [] } = settings;
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
    child.stderr.on('data', (text) => (complaint += text));
    const code = await new Promise((resolve) => child.on('close', resolve));
    const processS = (Date.now() - began) / 1000;
    if (code !== 0) throw new Error(complaint.trim().split('\n').at(-1) || `exit code ${code}`);

    const summary = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8'));
    const events = readFileSync(join(out, 'events.jsonl'), 'utf8').trim().split('\n').map(JSON.parse);
    const ended = events.filter(({ type }) => type === 'epoch');
    return {
      trainPhotos: summary.trainPhotos,
      valPhotos: summary.valPhotos,
      epochs: ended.map(({ result }) => ({
        seconds: result.elapsedMs / 1000,
        trainLoss: result.trainLoss,
        valLoss: result.valLoss,
        top1: result.top1,
      })),
      trainingS: (Date.parse(ended.at(-1).time) - began) / 1000,
      processS,
      peakRssBytes: summary.peakRssBytes,
      cost: summary.cost,
      batch: summary.batch,
      ...onEnd(work, ended),
    };
  } finally {
    rmSync(work, { recursive: true });
  }
}

/**
 * Trains under V8's profiler, and tells what the engine's thread spent the epochs after the first on, as shares: in ONNX Runtime,
 * reading files, waiting (for the disk and the main thread), and in JavaScript with all that it calls.
 */
export async function measureProfile(settings) {
  const { profile } = await measureTraining({
    ...settings,
    nodeFlags: (work) => ['--cpu-prof', '--cpu-prof-dir', work],
    onEnd: (work, ended) => {
      const profiles = readdirSync(work)
        .filter((file) => file.endsWith('.cpuprofile'))
        .map((file) => JSON.parse(readFileSync(join(work, file), 'utf8')));
      // A profile's clock has been running since the system started.
      const clockMs = Date.now() - Number(process.hrtime.bigint()) / 1e6;
      const window = [ended[0], ended.at(-1)].map(({ time }) => 1000 * (Date.parse(time) - clockMs));
      const threads = profiles.map((each) => sharesOf(each, window));
      return { profile: threads.reduce((engine, each) => (each.runtime > engine.runtime ? each : engine)) };
    },
  });
  return profile;
}

/** What native functions that the file system's module calls are named. */
const FILE_CALLS = /^(read|write)(Buffers?|String)?$|^(open|close|fsync|fdatasync|fstat|stat)(FileHandle)?$/;

/** The shares of a V8 profile between two times of its clock, in microseconds. */
function sharesOf({ nodes, samples, timeDeltas, startTime }, [from, until]) {
  const kinds = new Map(nodes.map(({ id, callFrame }) => [id, kindOf(callFrame)]));
  const total = { runtime: 0, files: 0, waiting: 0, javascript: 0 };
  let at = startTime;
  samples.forEach((id, index) => {
    at += timeDeltas[index];
    if (at > from && at <= until) total[kinds.get(id)] += timeDeltas[index];
  });
  const all = Object.values(total).reduce((sum, each) => sum + each, 0);
  return Object.fromEntries(Object.entries(total).map(([kind, each]) => [kind, all > 0 ? each / all : 0]));
}

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

/** Whole processes of `ort-tl --help`. */
export async function measureHelp(times = 10) {
  const elapsed = [];
  for (let time = 0; time <= times; time++) {
    const began = performance.now();
    await promisify(execFile)(process.execPath, [CLI, '--help']);
    elapsed.push(performance.now() - began);
  }
  // The first one reads the files from the disk.
  return { helpMs: spreadOf(elapsed.slice(1)) };
}

async function timed(steps, run) {
  const elapsed = [];
  for (let step = 0; step <= steps; step++) {
    const began = performance.now();
    await run();
    elapsed.push(performance.now() - began);
  }
  return spreadOf(elapsed.slice(1));
}

/** Steps on a batch of noise, with the frozen part inside and without it. */
export async function measureSteps({ model, policy, batch, classes = 6, steps = 8, threads = 0, size }) {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-peers-'));
  const names = Array.from({ length: classes }, (_, index) => `class ${index}`);
  // As a training on this machine compiles.
  const blockSize = await probeBlockSize();
  await writeArtifacts(compileFor(readModel(model), names, { policy, batch, size, blockSize }), folder);
  const stepper = await Stepper.create(loadArtifacts(folder), {
    slots: batch,
    threads: threads || availableParallelism(),
  });
  try {
    const { preprocessing, cost } = loadArtifacts(folder).manifest;
    const pixels = noise(batch * preprocessing.height * preprocessing.width * 3, Uint8Array, (value) => value % 256);
    const labels = Array.from({ length: batch }, (_, index) => index % classes);
    const slots = Int32Array.from(labels.keys());
    let firstStep = 1;
    const step = () => stepper.steps({ slots, learningRates: Float32Array.of(1e-4), firstStep: firstStep++ });
    const stepMs = await timed(steps, async () => {
      await stepper.store(Int32Array.from(labels.keys()), labels, pixels);
      await step();
    });
    const peakRssBytes = process.resourceUsage().maxRSS * 1024;
    const forwardMs = await timed(steps, async () => {
      await stepper.store(Int32Array.from(labels.keys()), labels, pixels);
      await stepper.evaluate(slots);
    });
    const trainedStepMs = await timed(steps, step);
    return { batch, stepMs, forwardMs, trainedStepMs, peakRssBytes, cost };
  } finally {
    await stepper.close();
    rmSync(folder, { recursive: true });
  }
}

/** Pseudo-random values: what is all zeros can be unusually fast. */
function noise(length, Kind, map) {
  let state = 1;
  return Kind.from({ length }, () => map((state = (state * 1664525 + 1013904223) % 2 ** 32) >>> 8));
}

const SESSION = { executionMode: 'sequential', interOpNumThreads: 1, logSeverityLevel: 3 };
/** Rows, columns and depth of the Gemm by which the machine is judged: 2·1536³ operations, a tenth of a second on two cores. */
const GEMM_SIDE = 1536;

/** Multiply-adds a second of one large Gemm, the weights constant as in inference, and of the given inference batches. */
export async function measureMachine({ model, batches, size = 224, steps = 8, threads = 0 }) {
  const options = { ...SESSION, intraOpNumThreads: threads || availableParallelism() };
  const values = noise(GEMM_SIDE ** 2, Float32Array, (value) => value / 2 ** 24 - 0.5);
  const g = new Builder(17);
  const a = g.input('a', 'float32', [GEMM_SIDE, GEMM_SIDE]);
  g.output('y', g.op('MatMul', [a, g.constant('b', floatTensor([GEMM_SIDE, GEMM_SIDE], values))]));
  const gemm = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'gemm')), options);
  const feeds = { a: new ort.Tensor('float32', values, [GEMM_SIDE, GEMM_SIDE]) };
  const gemmMs = await timed(3 * steps, () => gemm.run(feeds));
  await gemm.release();

  const session = await ort.InferenceSession.create(model, options);
  const [input] = session.inputNames;
  const channels = session.inputMetadata[0].shape.slice(1);
  const [, height, width] = channels.map((dim) => (typeof dim === 'number' ? dim : size));
  const inferenceMs = {};
  for (const batch of batches) {
    const data = noise(batch * 3 * height * width, Float32Array, (value) => value / 2 ** 23 - 1);
    const images = { [input]: new ort.Tensor('float32', data, [batch, 3, height, width]) };
    inferenceMs[batch] = await timed(steps, () => session.run(images));
  }
  return { multiplyAddsPerSecond: GEMM_SIDE ** 3 / (gemmMs.min / 1000), gemmMs, inferenceMs };
}

/** The median of all epochs but the first. */
export const laterSeconds = (epochs) => median(epochs.slice(1).map(({ seconds }) => seconds));

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: 'string' },
      data: { type: 'string' },
      epochs: { type: 'string', default: '10' },
      policy: { type: 'string', default: 'F1C1' },
      batch: { type: 'string', default: '32' },
      batches: { type: 'string', default: '16,32' },
      classes: { type: 'string', default: '6' },
      steps: { type: 'string', default: '8' },
      threads: { type: 'string', default: '0' },
      size: { type: 'string' },
    },
  });
  const [batch, classes, steps, threads] = [values.batch, values.classes, values.steps, values.threads].map(Number);
  const size = values.size ? { size: Number(values.size) } : {};
  const { model, policy } = values;
  const tasks = {
    machine: () => measureMachine({ model, batches: values.batches.split(',').map(Number), steps, threads, ...size }),
    steps: () => measureSteps({ model, policy, batch, classes, steps, threads, ...size }),
    train: () => measureTraining({ model, data: values.data, policy, epochs: Number(values.epochs), batch }),
    profile: () => measureProfile({ model, data: values.data, policy, epochs: Number(values.epochs), batch }),
  };
  console.log(JSON.stringify(await tasks[positionals[0]]()));
}
