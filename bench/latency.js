// How long ONNX models with one image input take in ONNX Runtime: in every round each runs in a process of its own, one after
// another, for two sessions in one process are in each other's way and two processes can differ by a third. Medians over the rounds.
//
//   node bench/latency.js BATCH ROUNDS NAME=MODEL…
import { execFileSync } from 'node:child_process';
import * as ort from 'onnxruntime-node';
import { median } from '../dist/bench/statistics.js';

const RUNS_A_ROUND = 20;

/**
 * The median milliseconds of a run of the model in `file`.
 * @param {string} file
 * @param {number} batch
 */
async function measure(file, batch) {
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 4 });
  const [input] = session.inputMetadata;
  if (!input?.isTensor) throw new Error(`${file} takes no tensor`);
  const dims = [batch, ...input.shape.slice(1).map(Number)];
  const numbers = Float32Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, (_, at) =>
    Math.sin(at),
  );
  const feeds = { [input.name]: new ort.Tensor('float32', numbers, dims) };
  // The first runs lay out memory.
  for (let run = 0; run < 2; run++) await session.run(feeds);
  const times = [];
  for (let run = 0; run < RUNS_A_ROUND; run++) {
    const began = performance.now();
    await session.run(feeds);
    times.push(performance.now() - began);
  }
  return median(times);
}

const [first = '', second = '', ...rest] = process.argv.slice(2);
if (first === 'one') console.log(await measure(second, Number(rest[0])));
else {
  const [rounds, files] = [Number(second), rest];
  const models = files.map((each) => {
    const [name = '', file = ''] = each.split('=');
    /** @type {number[]} */
    const times = [];
    return { name, file, times };
  });
  for (let round = 0; round < rounds; round++)
    for (const { file, times } of models)
      times.push(Number(execFileSync(process.execPath, [import.meta.filename, 'one', file, first])));
  for (const { name, times } of models) {
    const ms = median(times);
    const [least, most] = [Math.min(...times), Math.max(...times)];
    const spread = `(${least.toFixed(2)} to ${most.toFixed(2)})`;
    console.log(`${name}: ${ms.toFixed(2)} ms ${spread}, ${((1000 * Number(first)) / ms).toFixed(1)} images a second`);
  }
}
