// Preloaded (node --require) into ort-tl and its worker: notes when ONNX Runtime's native `run` begins and ends, so that what
// remains of an epoch is JavaScript, files and messages. Writes pairs of milliseconds since 1970 to the file in RUN_TIMES.
const { writeFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { performance } = require('node:perf_hooks');
const { getEnvironmentData, isMainThread, setEnvironmentData } = require('node:worker_threads');

const MOST = 1_000_000;
if (isMainThread) setEnvironmentData('run-times', new SharedArrayBuffer(8 * (1 + 2 * MOST)));
const times = new Float64Array(getEnvironmentData('run-times'));

const path = createRequire(__filename).resolve('onnxruntime-node');
const exported = require(path.replace(/index\.js$/, 'binding.js'));
// Native methods can be neither replaced nor redefined, so a class that derives from theirs takes its place.
exported.binding = Object.create(exported.binding, {
  InferenceSession: {
    value: class extends exported.binding.InferenceSession {
      run(...args) {
        const began = performance.timeOrigin + performance.now();
        try {
          return super.run(...args);
        } finally {
          const at = times[0]++;
          if (at < MOST) {
            times[1 + 2 * at] = began;
            times[2 + 2 * at] = performance.timeOrigin + performance.now();
          }
        }
      }
    },
  },
});
if (isMainThread && process.env.RUN_TIMES)
  process.on('exit', () =>
    writeFileSync(process.env.RUN_TIMES, Buffer.from(times.buffer, 8, 16 * Math.min(MOST, times[0]))),
  );
