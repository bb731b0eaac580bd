// ort-tl's own side of the comparison. Trainings go through its command line, a process each; steps through the classes that
// the trainer uses, in the process that measures.
//   node bench/peers/ort-tl.js steps --model M --policy P --batch N [--classes 6] [--steps 8] [--threads N]
//   node bench/peers/ort-tl.js train --model M --data D --policy P --epochs N --batch N
//   node bench/peers/ort-tl.js machine --model M --batches 16,32     (ONNX Runtime's own inference, and a large Gemm)
// print a line of JSON.
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
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

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const COUNT_RUNS = fileURLToPath(new URL('count-runs.cjs', import.meta.url));

/**
 * Trains with the command line, and tells how long each epoch took, how much of it ONNX Runtime ran, and how long until the
 * last epoch's end, everything since the process started included.
 */
export async function measureTraining({ model, data, policy, epochs, batch = 32, flags = [] }) {
  const work = mkdtempSync(join(tmpdir(), 'ort-tl-peers-'));
  try {
    const out = join(work, 'run');
    const runTimes = join(work, 'run-times');
    const args = ['train', '--model', model, '--data', data, '--policy', policy];
    const settings = ['--epochs', String(epochs), '--batch', String(batch), '--out', out, '--quiet'];
    const cached = ['--cache', join(work, 'cache')];
    const began = Date.now();
    const child = spawn(process.execPath, ['--require', COUNT_RUNS, CLI, ...args, ...settings, ...cached, ...flags], {
      // Nothing that an earlier run kept may help this one.
      env: { ...process.env, RUN_TIMES: runTimes, XDG_CACHE_HOME: join(work, 'cache') },
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
    // ONNX Runtime runs nothing between epochs, so its runs after the first epoch are those of the later ones.
    const laterMs = ended.slice(1).reduce((total, { result }) => total + result.elapsedMs, 0);
    const runs = readFileSync(runTimes);
    const times = new Float64Array(runs.buffer, runs.byteOffset, runs.byteLength / 8);
    return {
      trainPhotos: summary.trainPhotos,
      valPhotos: summary.valPhotos,
      epochs: ended.map(({ result }) => ({
        seconds: result.elapsedMs / 1000,
        trainLoss: result.trainLoss,
        valLoss: result.valLoss,
        top1: result.top1,
      })),
      outsideRuntime: 1 - nativeMs(times, Date.parse(ended[0].time), Date.parse(ended.at(-1).time)) / laterMs,
      trainingS: (Date.parse(ended.at(-1).time) - began) / 1000,
      processS,
      peakRssBytes: summary.peakRssBytes,
      cost: summary.cost,
      batch: summary.batch,
    };
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** Milliseconds that pairs of beginning and end have between `from` and `until`. */
function nativeMs(times, from, until) {
  let total = 0;
  for (let at = 0; at < times.length; at += 2)
    total += Math.max(0, Math.min(times[at + 1], until) - Math.max(times[at], from));
  return total;
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
  };
  console.log(JSON.stringify(await tasks[positionals[0]]()));
}
