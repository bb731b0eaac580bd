import { drawingPictures } from '../data/pictures.js';
import { passOn } from '../passOn.js';
import { photosOf, type SuiteData } from './suite.js';
import type { SuiteEvent } from './suiteEvents.js';

/**
 * Draws the pictures of a data set that is drawn, unless they are in `out` already.
 * @throws UserError `stopped` when the signal fires meanwhile, `folder-in-use`, `write-failed`.
 */
export async function* drawData(data: SuiteData, out: string, signal?: AbortSignal): AsyncGenerator<SuiteEvent> {
  if (!data.drawn) return;
  const { train, val, size, seed } = data.drawn;
  const drawing = drawingPictures(photosOf(data, out), {
    ...{ set: 'demo', trainPerClass: train, valPerClass: val, size, seed },
    ...(signal ? { signal } : {}),
  });
  yield* passOn(drawing, ({ done, total }): SuiteEvent => ({ type: 'drawing', data: data.name, done, total }));
}
