// How long ONNX models with one image input take in ONNX Runtime: medians of runs in turns, so that all see the same machine.
//
//   node bench/latency.js BATCH ROUNDS NAME=MODEL…
import * as ort from 'onnxruntime-node';

const RUNS_A_ROUND = 3;
const [batch, rounds, ...files] = process.argv.slice(2);
const models = [];
for (const file of files) {
  const [name, path] = file.split('=');
  const session = await ort.InferenceSession.create(path, { logSeverityLevel: 4 });
  const [{ name: input, shape }] = session.inputMetadata;
  const dims = [Number(batch), ...shape.slice(1)];
  const numbers = Float32Array.from({ length: dims.reduce((product, dim) => product * dim) }, (_, at) => Math.sin(at));
  const feeds = { [input]: new ort.Tensor('float32', numbers, dims) };
  // The first runs lay out memory.
  for (let run = 0; run < 2; run++) await session.run(feeds);
  models.push({ name, session, feeds, times: [] });
}
for (let round = 0; round < Number(rounds); round++)
  for (const { session, feeds, times } of models)
    for (let run = 0; run < RUNS_A_ROUND; run++) {
      const began = performance.now();
      await session.run(feeds);
      times.push(performance.now() - began);
    }
for (const { name, times } of models) {
  times.sort((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)];
  console.log(`${name}: ${median.toFixed(2)} ms, ${((1000 * Number(batch)) / median).toFixed(1)} images a second`);
}
