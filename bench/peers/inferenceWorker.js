// A session of ONNX Runtime in a thread of its own, which runs the same images again and again when it is told to, and counts.
import { parentPort, workerData } from 'node:worker_threads';
import * as ort from 'onnxruntime-node';
import { z } from 'zod';

const { model, threads, batch, size } = z
  .object({ model: z.string(), threads: z.number(), batch: z.number(), size: z.number() })
  .parse(workerData);
const session = await ort.InferenceSession.create(model, {
  executionMode: 'sequential',
  interOpNumThreads: 1,
  intraOpNumThreads: threads,
  logSeverityLevel: 3,
});
const [input] = session.inputMetadata;
if (!input?.isTensor) throw new Error(`${model} takes no tensor`);
const sides = input.shape.slice(1).map((dim, index) => (typeof dim === 'number' ? dim : index === 0 ? 3 : size));
let state = 1;
const pixels = Float32Array.from(
  { length: sides.reduce((product, each) => product * each, batch) },
  () => ((state = (state * 1664525 + 1013904223) % 2 ** 32) >>> 8) / 2 ** 23 - 1,
);
const images = { [input.name]: new ort.Tensor('float32', pixels, [batch, ...sides]) };
await session.run(images);
parentPort?.on('message', (/** @type {unknown} */ milliseconds) => {
  void (async () => {
    const began = performance.now();
    let runs = 0;
    do {
      await session.run(images);
      runs++;
    } while (performance.now() - began < Number(milliseconds));
    parentPort?.postMessage((1000 * runs * batch) / (performance.now() - began));
  })();
});
parentPort?.postMessage('ready');
