// How long ONNX models with one image input take in ONNX Runtime: medians of runs in turns, so that all see the same machine, each
// model in a process of its own, for the threads of a session go on looking for work for a while after its run.
//
//   node bench/latency.js BATCH ROUNDS NAME=MODEL…
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import * as ort from 'onnxruntime-node';
import { median } from '../dist/bench/statistics.js';

const RUNS_A_ROUND = 3;
/** Until the threads of the model before have come to rest. */
const REST_MS = 20;

/** In a process of its own: loads `file`, and answers each message with the milliseconds of some runs. */
async function serve(file, batch) {
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 4 });
  const [{ name: input, shape }] = session.inputMetadata;
  const dims = [batch, ...shape.slice(1)];
  const numbers = Float32Array.from({ length: dims.reduce((product, dim) => product * dim) }, (_, at) => Math.sin(at));
  const feeds = { [input]: new ort.Tensor('float32', numbers, dims) };
  // The first runs lay out memory.
  for (let run = 0; run < 2; run++) await session.run(feeds);
  process.on('message', async () => {
    const times = [];
    for (let run = 0; run < RUNS_A_ROUND; run++) {
      const began = performance.now();
      await session.run(feeds);
      times.push(performance.now() - began);
    }
    process.send(times);
  });
  process.send('ready');
}

const [first, ...rest] = process.argv.slice(2);
if (first === 'serve') await serve(rest[0], Number(rest[1]));
else {
  const [batch, [rounds, ...files]] = [Number(first), rest];
  const models = [];
  for (const each of files) {
    const [name, file] = each.split('=');
    const child = fork(import.meta.filename, ['serve', file, String(batch)]);
    child.on('exit', (code) => code && process.exit(code));
    await once(child, 'message');
    models.push({ name, child, times: [] });
  }
  for (let round = 0; round < Number(rounds); round++)
    for (const { child, times } of models) {
      await sleep(REST_MS);
      child.send('run');
      const [some] = await once(child, 'message');
      times.push(...some);
    }
  for (const { name, child, times } of models) {
    child.disconnect();
    const ms = median(times);
    console.log(`${name}: ${ms.toFixed(2)} ms, ${((1000 * batch) / ms).toFixed(1)} images a second`);
  }
}
