import type { Preprocessing } from '../artifacts/manifest.js';
import type { Photo } from '../data/photo.js';
import { PhotoReader } from '../data/photoReader.js';
import { UserError } from '../errors.js';
import { notFinite } from '../finite.js';
import { Calibration, type CalibrationMethod } from '../quantize/calibration.js';
import type { CalibrationModel } from '../quantize/calibrationModel.js';
import type { Range } from '../quantize/range.js';
import { calibrate } from '../runtime/calibrate.js';

/** Photos that are decoding, or decoded and waiting for their turn. */
const AHEAD = 16;

export interface ObserveOptions {
  readonly method: CalibrationMethod;
  /** Cores to use in all; 0 for all that there are. */
  readonly threads: number;
  /** Whether memory is short. */
  readonly isLimited?: boolean;
  /** What the error calls where the photos are. */
  readonly source: string;
}

/**
 * Runs photos through a calibration model; after each gives how many there have been, and at the end the ranges of its activations.
 * Photos that cannot be read are passed over.
 * @throws UserError `no-photos` when none can be, `not-finite` where the model gives no numbers.
 */
export async function* observeRanges(
  { model, activations }: CalibrationModel,
  photos: readonly Photo[],
  preprocessing: Preprocessing,
  { method, threads, isLimited = false, source }: ObserveOptions,
): AsyncGenerator<number, { readonly ranges: Map<string, Range>; readonly photos: number }> {
  const observed = new Calibration(method);
  async function* images(): AsyncGenerator<Uint8Array> {
    const reading = PhotoReader.ofPixels().read(photos, preprocessing, { concurrency: AHEAD });
    // Reading all photos is what tells of unreadable ones.
    for await (const read of reading) if ('decoded' in read) yield read.decoded;
  }
  let count = 0;
  const { height, width } = preprocessing;
  const options = { height, width, threads, images: photos.length, isLimited };
  const runs = calibrate(model, images(), options, (name, numbers) => {
    observed.observe(activations.get(name) ?? name, numbers);
  });
  for await (count of runs) {
    const { notANumber } = observed;
    if (notANumber !== undefined)
      throw notFinite(`"${notANumber}" of the model has values that are no numbers on photos of ${source}`);
    yield count;
  }
  if (count === 0)
    throw new UserError(
      'no-photos',
      `none of ${photos.length} photos of ${source} that were to calibrate with can be read; mend or replace them`,
    );
  return { ranges: observed.ranges(), photos: count };
}
