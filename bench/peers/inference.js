// ONNX Runtime's own inference with all cores, in whichever way is best.
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

/** @typedef {{ sessions: number, threads: number, batch: number }} Way */

/**
 * One session that has all cores, or sessions that share them.
 * @param {number} cores
 * @returns {Way[]}
 */
function waysOf(cores) {
  const one = [1, 4, 16, 32].map((batch) => ({ sessions: 1, threads: cores, batch }));
  const sessions = [...new Set([cores, Math.ceil(cores / 2)])].filter((count) => count > 1);
  return [
    ...one,
    ...sessions.flatMap((count) =>
      [1, 4].map((batch) => ({ sessions: count, threads: Math.max(1, Math.floor(cores / count)), batch })),
    ),
  ];
}

/**
 * Images a second of the whole network on images that lie in memory, by each way, and by the best one.
 * @param {{ model: string, size?: number, threads?: number, milliseconds?: number }} settings `milliseconds`: how long each way runs
 */
export async function measureInference({ model, size = 224, threads = 0, milliseconds = 2000 }) {
  /** @type {(Way & { imagesPerSecond: number })[]} */
  const ways = [];
  for (const way of waysOf(threads || availableParallelism()))
    ways.push({ ...way, imagesPerSecond: await rateOf(way, { model, size, milliseconds }) });
  const best = ways.reduce((a, b) => (b.imagesPerSecond > a.imagesPerSecond ? b : a));
  return { imagesPerSecond: best.imagesPerSecond, best, ways };
}

/**
 * @param {Way} way
 * @param {{ model: string, size: number, milliseconds: number }} settings
 */
async function rateOf({ sessions, threads, batch }, { model, size, milliseconds }) {
  const workers = Array.from(
    { length: sessions },
    () => new Worker(new URL('inferenceWorker.js', import.meta.url), { workerData: { model, threads, batch, size } }),
  );
  try {
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    const rates = await Promise.all(
      workers.map(async (worker) => {
        const told = once(worker, 'message');
        worker.postMessage(milliseconds);
        return Number((await told)[0]);
      }),
    );
    return rates.reduce((sum, rate) => sum + rate, 0);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
