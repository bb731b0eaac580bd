// Trains with the last training build of onnxruntime-web, 1.19.2, and prints a line of JSON: the losses.
//   node onnxruntime-web.js ARTIFACTS DATA OUT
// DATA holds plan.json ({ shape, learningRate, labels: a list for each batch }) and pixels.bin, the batches one after another. The
// trained parameters go to OUT, float32, one after another; the build saves no checkpoints.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const [artifacts = '', data = '', out = ''] = process.argv.slice(2);
const build = '../../node_modules/onnxruntime-web-training/dist/ort.training.wasm.min.js';
/** @type {import('./trainingBuild.js').TrainingBuild} */
const ort = createRequire(import.meta.url)(fileURLToPath(new URL(build, import.meta.url)));
ort.env.wasm.numThreads = 1;

/** @param {string} name */
const bytes = (name) => new Uint8Array(readFileSync(join(artifacts, name)));
const session = await ort.TrainingSession.create(
  {
    checkpointState: bytes('checkpoint'),
    trainModel: bytes('training_model.onnx'),
    evalModel: bytes('eval_model.onnx'),
    optimizerModel: bytes('optimizer_model.onnx'),
  },
  { executionProviders: ['wasm'] },
);
const { shape, labels } = z
  .object({ shape: z.array(z.number()), labels: z.array(z.array(z.number())) })
  .parse(JSON.parse(readFileSync(join(data, 'plan.json'), 'utf8')));
const pixels = readFileSync(join(data, 'pixels.bin'));
const size = shape.reduce((product, dim) => product * dim, 1);
/** @type {(number | undefined)[]} */
const losses = [];
for (const [step, own] of labels.entries()) {
  // By position: what the feeds are called does not count there.
  const results = await session.runTrainStep({
    pixels: new ort.Tensor('uint8', new Uint8Array(pixels.subarray(step * size, (step + 1) * size)), shape),
    labels: new ort.Tensor('int64', BigInt64Array.from(own, BigInt), [own.length]),
  });
  losses.push(results.loss?.data[0]);
  // Its learning rate is 1e-3, and no function changes that.
  await session.runOptimizerStep();
  await session.lazyResetGrad();
}
const parameters = await session.getContiguousParameters(true);
writeFileSync(out, parameters.data);
console.log(JSON.stringify({ losses }));
process.exit(0);
