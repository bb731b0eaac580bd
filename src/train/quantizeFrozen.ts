import type { Compiled } from '../artifacts/compile.js';
import type { Manifest } from '../artifacts/manifest.js';
import type { Dataset } from '../data/dataset.js';
import { labelsOfPhoto } from '../data/labels.js';
import type { Photo } from '../data/photo.js';
import { UserError } from '../errors.js';
import { passOn } from '../passOn.js';
import { FrozenPart } from '../quantize/frozenPart.js';
import type { QuantizationPlan } from '../quantize/quantize.js';
import { Random } from '../random.js';
import { productsSaturate } from '../runtime/saturation.js';
import type { TrainEvent } from './events.js';
import { observeRanges } from './observeRanges.js';
import type { Settings } from './trainOptions.js';

type Quantized = NonNullable<Manifest['frozen']>;

/**
 * Adds the frozen part in whole numbers. Its ranges are those that training photos have in float, or those of `before`, which a
 * run that goes on was begun with.
 * @throws UserError `nothing-to-quantize`, `bad-arguments` for another provider than the CPU, `stopped` when the signal fires.
 */
export async function* quantizeFrozen(
  compiled: Compiled,
  dataset: Dataset,
  {
    calibration,
    seed,
    threads,
    provider,
    policy,
    memoryBytes,
  }: Settings & { readonly memoryBytes?: number | undefined },
  before: Quantized | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<TrainEvent, Compiled> {
  if (provider !== 'cpu')
    throw new UserError(
      'bad-arguments',
      `expected ‹provider› cpu beside ‹frozen› int8, got \`${provider}\`; whole numbers are made for the CPU provider's operators`,
    );
  const part = compiled.frozen && new FrozenPart(compiled.frozen);
  if (!part || part.selection.nodes.length === 0)
    throw new UserError(
      'nothing-to-quantize',
      part
        ? `the frozen part of policy ${policy} has no operators that could be computed in whole numbers; leave out ‹frozen› int8`
        : `policy ${policy} has no frozen part that could be computed in whole numbers; leave out ‹frozen› int8`,
    );
  let frozen = before;
  if (!frozen || !part.selection.values.every((name) => frozen?.ranges[name])) {
    const chosen = calibrationPhotos(dataset, calibration.photos, seed);
    const observing = observeRanges(part.calibration(calibration.method), chosen, compiled.manifest.preprocessing, {
      method: calibration.method,
      threads,
      isLimited: memoryBytes !== undefined,
      source: dataset.folder,
    });
    const { ranges, photos } = yield* passOn(observing, (done): TrainEvent => {
      if (signal?.aborted) throw new UserError('stopped', 'stopped while calibrating');
      return { type: 'progress', phase: 'calibrating', epoch: 0, done, total: chosen.length };
    });
    frozen = {
      precision: 'int8',
      calibration: { method: calibration.method, photos },
      reducesRange: await productsSaturate(),
      nodes: [...part.selection.nodes],
      ranges: Object.fromEntries([...ranges].map(([name, { min, max }]) => [name, [min, max]])),
    };
  }
  return { ...compiled, manifest: { ...compiled.manifest, frozen }, quantized: part.quantized(planOf(frozen)) };
}

/** How a manifest says that the frozen part was quantized. */
export function planOf({ nodes, ranges, reducesRange }: Quantized): QuantizationPlan {
  const entries = Object.entries(ranges).map(([name, [min, max]]) => [name, { min, max }] as const);
  return { nodes, reducesRange, ranges: new Map(entries) };
}

/** Training photos to calibrate with: as many of every class as may be, drawn by `seed`. */
export function calibrationPhotos({ train, classes }: Dataset, count: number, seed: number): Photo[] {
  const random = new Random(seed).fork('calibration');
  const byClass = classes.map((_, label) =>
    random.shuffle(train.filter((photo) => labelsOfPhoto(photo).includes(label))),
  );
  byClass.push(random.shuffle(train.filter((photo) => labelsOfPhoto(photo).length === 0)));
  const longest = Math.max(...byClass.map(({ length }) => length));
  const turns = Array.from({ length: longest }, (_, turn) => byClass.flatMap((photos) => photos[turn] ?? []));
  return [...new Set(turns.flat())].slice(0, count);
}
