import type { Photo, Picture } from '../data/photo.js';
import { decodePhoto, decodeWhole } from '../data/decode.js';
import { PhotoReader } from '../data/photoReader.js';
import { UserError } from '../errors.js';
import { median } from '../bench/statistics.js';
import { Opened } from '../opened.js';
import type { ImageClassifier } from '../runtime/classifier.js';
import { underWay } from '../underWay.js';
import { allFinite, notFinite } from '../finite.js';
import { LogitComparison } from '../train/agreement.js';
import { targetRows } from '../data/labels.js';
import { LabelRanking } from '../train/mapInterval.js';
import { predictionOf } from '../train/metrics.js';

/** How an exported model compares with the one that was trained, on the same photos. */
export interface Parity {
  readonly photos: number;
  /** Share of the photos that both give the same class, or the same labels. */
  readonly agreement: number;
  /** The largest difference of two logits of one photo and class; null where the exported model gave what is no number. */
  readonly largestDifference: number | null;
  /** The largest magnitude of a logit of the trained model. */
  readonly scale: number;
  /** The share of `scale` by which logits may differ, where the exported model computes the same; null where it rounds by intention. */
  readonly tolerance: number | null;
  /**
   * Whether the file is fit for use: no logit differs by more than the tolerance; without one, all are numbers, and at least half of the
   * photos get the same class, if there are ten of them; of labels F1 against those that the trained model gives is at least a half.
   */
  readonly ok: boolean;
  /** Share of the photos whose class is known that is given it; absent where none is known, and with labels. */
  readonly top1?: { readonly trained: number; readonly exported: number };
  /** Mean average precision over the photos whose labels are known. */
  readonly map?: { readonly trained: number; readonly exported: number };
  /** Sizes of the files. */
  readonly bytes: { readonly trained: number; readonly exported: number };
  /** Median time of a run on one image, or on as many as the model takes, in ONNX Runtime on this machine. */
  readonly latencyMs: { readonly trained: number; readonly exported: number };
}

/** The share that agrees says little of fewer photos than these. */
const FEWEST = 10;
/** A model in float16 or int8 that agrees on a smaller share of the photos, or of the labels, is no copy of the trained one. */
const LEAST_AGREEMENT = 0.5;

/** Photos that are decoding, or decoded and waiting for their turn. */
const AHEAD = 8;
/** Runs that latency is the median of: so many at a time of one model and of the other, so that both see the same machine. */
const ROUNDS = 5;
const RUNS_A_ROUND = 5;

interface Compared {
  /** Prepared, uint8 RGB [H, W, 3]. */
  readonly prepared: Uint8Array;
  /** The picture in the form that the exported model takes. */
  readonly given: Picture;
}

/**
 * Runs both models on photos, one at a time, and tells after each how many there have been. `takesWhole`: whether the exported model
 * takes photos in their own size; `tolerance`: see {@link Parity}. Photos that cannot be read are passed over; those whose class is not
 * known have label −1.
 * @throws UserError `no-photos` when none can be read, `not-finite` where the trained model gives no numbers.
 */
export async function* compareModels(
  trained: ImageClassifier,
  exported: ImageClassifier,
  photos: readonly Photo[],
  {
    takesWhole,
    source,
    tolerance,
  }: { readonly takesWhole: boolean; readonly source: string; readonly tolerance: number | null },
): AsyncGenerator<number, Omit<Parity, 'bytes'>> {
  const reader = new PhotoReader<Compared>(async (photo, preprocessing) => {
    const prepared = await decodePhoto(photo, preprocessing);
    const { width, height } = preprocessing;
    return { prepared, given: takesWhole ? await decodeWhole(photo) : { pixels: prepared, width, height } };
  });
  const ending = trained.ending ?? exported.ending;
  const comparison = new LogitComparison({ ending, thresholds: trained.thresholds });
  const known: { readonly photo: Photo; readonly before: Float32Array; readonly after: Float32Array }[] = [];
  let count = 0;
  let first: Compared | undefined;
  const most = Math.max(await trained.expect(photos.length), await exported.expect(photos.length));
  const reading = reader.read(photos, trained.preprocessing, { concurrency: most + AHEAD });
  const comparing = underWay(reading, most, async (read) => {
    if ('error' in read) return undefined;
    const { prepared, given } = read.decoded;
    const before = await trained.run(prepared, 1);
    const after = await exported.run(given.pixels, 1, given);
    return { photo: read.photo, decoded: read.decoded, before, after };
  });
  for await (const compared of comparing) {
    if (!compared) continue;
    const { photo, decoded, before, after } = compared;
    first ??= decoded;
    if (!allFinite(before)) throw notFinite(`the trained model gives no numbers for ${photo.path}`);
    comparison.add(before, after);
    if (photo.label >= 0) known.push({ photo, before, after });
    yield ++count;
  }
  if (!first)
    throw new UserError(
      'no-photos',
      `none of ${photos.length} photos of ${source} that were to compare on can be read; mend or replace them`,
    );
  const times = await timesOf(trained, exported, first);
  const { agreeing, largestDifference, scale, ok } = comparison.result(tolerance ?? Infinity);
  const agreement = agreeing / count;
  const resembles = largestDifference !== null && (comparison.likeness >= LEAST_AGREEMENT || count < FEWEST);
  return {
    photos: count,
    agreement,
    largestDifference,
    scale,
    tolerance,
    ok: tolerance === null ? resembles : ok,
    ...(known.length > 0 ? worthOf(trained, known) : {}),
    latencyMs: { trained: median(times.trained), exported: median(times.exported) },
  };
}

/** Milliseconds of runs of both models on a photo, in turns. */
async function timesOf(
  trained: ImageClassifier,
  exported: ImageClassifier,
  { prepared, given }: Compared,
): Promise<{ readonly trained: number[]; readonly exported: number[] }> {
  const opened = new Opened();
  try {
    const before = opened.add(await trained.clock(prepared), (clock) => clock.close());
    const after = opened.add(await exported.clock(given.pixels, given), (clock) => clock.close());
    const times: { trained: number[]; exported: number[] } = { trained: [], exported: [] };
    for (let round = 0; round < ROUNDS; round++) {
      times.trained.push(...(await before.time(RUNS_A_ROUND)));
      times.exported.push(...(await after.time(RUNS_A_ROUND)));
    }
    return times;
  } finally {
    await opened.close();
  }
}

/** What both models are worth on photos whose class, or whose labels, are known. */
function worthOf(
  { task, labels }: ImageClassifier,
  known: readonly { readonly photo: Photo; readonly before: Float32Array; readonly after: Float32Array }[],
): Pick<Parity, 'top1' | 'map'> {
  const both = (of: (rows: readonly Float32Array[]) => number) => ({
    trained: of(known.map(({ before }) => before)),
    exported: of(known.map(({ after }) => after)),
  });
  const photos = known.map(({ photo }) => photo);
  if (task === 'classes')
    return {
      top1: both(
        (rows) => rows.filter((row, index) => predictionOf(row) === photos[index]?.label).length / photos.length,
      ),
    };
  const targets = targetRows(photos, labels.length);
  return { map: both((rows) => new LabelRanking(flat(rows), targets, labels.length).map()) };
}

function flat(rows: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(rows.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const row of rows) {
    all.set(row, at);
    at += row.length;
  }
  return all;
}
