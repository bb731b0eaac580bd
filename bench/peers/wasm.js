// One training step in the WebAssembly training build of ONNX Runtime 1.19.2, the last with one, measured; prints a line of JSON.
//   node bench/peers/wasm.js --package FOLDER/node_modules/onnxruntime-web --artifacts FOLDER --batch N [--steps 3] [--threads N]
// The artifacts are those that onnxruntime_training.py leaves with --keep.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { spreadOf } from '../../dist/bench/statistics.js';

const { values } = parseArgs({
  options: {
    package: { type: 'string', default: '.' },
    artifacts: { type: 'string', default: '.' },
    batch: { type: 'string', default: '32' },
    classes: { type: 'string', default: '6' },
    size: { type: 'string', default: '224' },
    steps: { type: 'string', default: '3' },
    threads: { type: 'string', default: String(availableParallelism()) },
  },
});
const [batch, classes] = [Number(values.batch), Number(values.classes)];
const [size, steps] = [Number(values.size), Number(values.steps)];
const dist = resolve(values.package, 'dist');
/** @type {import('../../test/vendor/trainingBuild.js').TrainingBuild} */
const ort = createRequire(import.meta.url)(join(dist, 'ort.training.wasm.min.js'));
ort.env.wasm.numThreads = Number(values.threads);

/** @param {string} name */
const bytes = (name) => new Uint8Array(readFileSync(join(values.artifacts, name)));
const session = await ort.TrainingSession.create(
  {
    checkpointState: bytes('checkpoint'),
    trainModel: bytes('training_model.onnx'),
    evalModel: bytes('eval_model.onnx'),
    optimizerModel: bytes('optimizer_model.onnx'),
  },
  { executionProviders: ['wasm'] },
);
let state = 1;
const image = Float32Array.from(
  { length: batch * 3 * size * size },
  () => ((state = (state * 1664525 + 1013904223) % 2 ** 32) >>> 8) / 2 ** 23 - 1,
);
// Its feeds go by position, whatever they are called.
const [input = '', labels = ''] = session.trainingInputNames;
const feeds = {
  [input]: new ort.Tensor('float32', image, [batch, 3, size, size]),
  [labels]: new ort.Tensor(
    'int64',
    BigInt64Array.from({ length: batch }, (_, at) => BigInt(at % classes)),
    [batch],
  ),
};
/** @type {number[]} */
const elapsed = [];
/** @type {(number | undefined)[]} */
const losses = [];
for (let step = 0; step <= steps; step++) {
  const began = performance.now();
  const results = await session.runTrainStep(feeds);
  await session.runOptimizerStep();
  await session.lazyResetGrad();
  elapsed.push(performance.now() - began);
  losses.push(results[session.trainingOutputNames[0] ?? '']?.data[0]);
}
console.log(
  JSON.stringify({
    batch,
    stepMs: spreadOf(elapsed.slice(1)),
    losses,
    threads: ort.env.wasm.numThreads,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    versions: { 'onnxruntime-web': ort.env.versions?.web ?? '1.19.2' },
  }),
);
process.exit(0);
