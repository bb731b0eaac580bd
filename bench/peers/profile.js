// Where the time of a training's later epochs goes, by V8's profiler.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { measureTraining, timeOf } from './training.js';

/** @import { TrainingSettings } from './training.js' */

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
        .map((file) => profileSchema.parse(JSON.parse(readFileSync(join(work, file), 'utf8'))));
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
