import { drawPictures } from '../data/pictures.js';
import { photosOf, type SuiteData } from './suite.js';
import type { SuiteEvent } from './suiteEvents.js';

/** How often it is told how far the drawing is. */
const TELL_EVERY_MS = 100;

/**
 * Draws the pictures of a data set that is drawn, unless they are in `out` already.
 * @throws UserError `stopped` when the signal fires meanwhile, `folder-in-use`, `write-failed`.
 */
export async function* drawData(data: SuiteData, out: string, signal?: AbortSignal): AsyncGenerator<SuiteEvent> {
  if (!data.drawn) return;
  const { train, val, size, seed } = data.drawn;
  const given = new AbortController();
  let last: SuiteEvent | undefined;
  const drawing = drawPictures(photosOf(data, out), {
    ...{ set: 'demo', trainPerClass: train, valPerClass: val, size, seed },
    signal: signal ? AbortSignal.any([signal, given.signal]) : given.signal,
    onProgress: (done, total) => {
      last = { type: 'drawing', data: data.name, done, total };
    },
  });
  let isDone = false;
  const ended = drawing.finally(() => (isDone = true));
  // Who does not wait for it yet must not miss that it fails.
  ended.catch(() => undefined);
  try {
    while (!isDone) {
      await Promise.race([ended, new Promise((wake) => setTimeout(wake, TELL_EVERY_MS))]);
      const told: SuiteEvent | undefined = last;
      last = undefined;
      if (told) yield told;
    }
  } finally {
    // Who looks no longer at how far it is wants no pictures either.
    given.abort();
  }
  await ended;
}
