import { availableParallelism } from 'node:os';

/** The variable that tells libuv how many threads to start, which read files and decode photos. It looks once, at the first work for them. */
export const POOL_VARIABLE = 'UV_THREADPOOL_SIZE';

/** How many libuv starts by itself. */
const USUAL = 4;
/** What the main thread can feed: of a photo of 12 megapixels it has 3 ms of work, and a decoding thread has 45 ms. */
const MOST = 16;
/** libuv starts no more. */
const MOST_OF_LIBUV = 1024;

/** How many threads there should be for so many cores. */
export function wantedPoolSize(cores = availableParallelism()): number {
  return Math.min(MOST, Math.max(USUAL, cores));
}

/** How many threads read files and decode photos in this process. */
export function poolSize(): number {
  const told = process.env[POOL_VARIABLE];
  if (told === undefined) return USUAL;
  return Math.min(MOST_OF_LIBUV, Math.max(1, Number.parseInt(told, 10) || 1));
}
