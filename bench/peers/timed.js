// Times of what is run again and again, on pseudo-random values.
import { spreadOf } from '../../dist/bench/statistics.js';

/**
 * Milliseconds of `run`, which is called once more before.
 * @param {number} steps
 * @param {() => Promise<unknown>} run
 */
export async function timed(steps, run) {
  /** @type {number[]} */
  const elapsed = [];
  for (let step = 0; step <= steps; step++) {
    const began = performance.now();
    await run();
    elapsed.push(performance.now() - began);
  }
  const spread = spreadOf(elapsed.slice(1));
  if (!spread) throw new Error('expected one step or more');
  return spread;
}

/**
 * Fills `values` with pseudo-random ones: what is all zeros can be unusually fast.
 * @template {Uint8Array | Float32Array} T
 * @param {T} values
 * @param {(value: number) => number} map takes a number of 24 bits
 */
export function noise(values, map) {
  let state = 1;
  for (let at = 0; at < values.length; at++) values[at] = map((state = (state * 1664525 + 1013904223) % 2 ** 32) >>> 8);
  return values;
}
