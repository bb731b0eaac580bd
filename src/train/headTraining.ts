import type { Dataset } from '../data/dataset.js';
import type { Photo } from '../data/photo.js';
import { checkReadable } from '../data/readablePhotos.js';
import { UserError } from '../errors.js';
import { allFinite } from '../finite.js';
import type { Engine } from '../runtime/engine.js';
import { softmax } from './classify.js';
import { orderOfEpoch } from './epochOrder.js';
import { ratesOfEpoch } from './epochRates.js';
import { checkLearning, type LiveHeadEvent } from './liveHeadEvents.js';
import { predictionOf } from './metrics.js';
import type { CompiledHead } from './openHead.js';
import { defaultLearningRate } from './trainOptions.js';

/** Steps asked of the worker at a time, and how long they may take: whoever stops it waits no longer. */
const STEPS_PER_CALL = 64;
const CALL_MS = 50;
/** Photos asked of the worker at a time. */
const EVALUATED_PER_CALL = 512;

/** A photo whose features are in a slot. */
interface SlottedPhoto {
  readonly photo: Photo;
  readonly slot: number;
}

/** The photos of a data set that could be read. */
interface ReadablePhotos {
  readonly train: readonly SlottedPhoto[];
  readonly val: readonly SlottedPhoto[];
}

/**
 * The photos of `dataset` that have slots, which are in the order of those that train and then those that validate.
 * @throws UserError `no-photos`, `class-without-photos` where they are too few.
 */
export function readablePhotos(dataset: Dataset, slots: readonly (number | undefined)[]): ReadablePhotos {
  const slotted = (photos: readonly Photo[], first: number) =>
    photos.flatMap((photo, index) => {
      const slot = slots[first + index];
      return slot === undefined ? [] : [{ photo, slot }];
    });
  const train = slotted(dataset.train, 0);
  const val = slotted(dataset.val, dataset.train.length);
  const trainLabels = new Set(train.map(({ photo }) => photo.label));
  checkReadable(dataset, { trainLabels, train: train.length, val: val.length });
  return { train, val };
}

/**
 * Trains a fresh head, as a training of policy `F1C0` does.
 * @throws UserError `stopped`, `not-finite` where the model gives no numbers.
 */
export async function* trainHead(
  engine: Engine,
  { initial, settings }: CompiledHead,
  photos: readonly SlottedPhoto[],
  signal: AbortSignal,
): AsyncGenerator<LiveHeadEvent> {
  const { epochs, batch, optimizer, policy } = settings;
  const peak = defaultLearningRate(optimizer, policy);
  const stepsPerEpoch = Math.ceil(photos.length / batch);
  const total = epochs * stepsPerEpoch;
  const places = [...photos.keys()];
  const labelsOf = (place: number) => [photos[place]?.photo.label ?? 0];
  await engine.setState(initial);
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const order = orderOfEpoch(places, labelsOf, epoch, settings);
    const rates = ratesOfEpoch(epoch, stepsPerEpoch, peak, settings);
    for (let step = 0; step < stepsPerEpoch;) {
      checkLearning(signal);
      const until = Math.min(stepsPerEpoch, step + STEPS_PER_CALL);
      const taken = order.subarray(step * batch, until * batch);
      const firstStep = (epoch - 1) * stepsPerEpoch + step + 1;
      const { losses } = await engine.steps({
        slots: taken.map((place) => photos[place]?.slot ?? -1),
        labels: taken.map((place) => photos[place]?.photo.label ?? -1),
        learningRates: rates.slice(step, until),
        firstStep,
        limitMs: CALL_MS,
      });
      if (!allFinite(losses)) throw noNumbers();
      step += losses.length;
      yield { type: 'progress', phase: 'training', done: firstStep - 1 + losses.length, total };
    }
  }
}

/** The logits [photos, classes] of photos. @throws UserError `stopped`, `not-finite`. */
export async function logitsOfPhotos(
  engine: Engine,
  classes: number,
  photos: readonly SlottedPhoto[],
  signal: AbortSignal,
): Promise<Float32Array> {
  const logits = new Float32Array(photos.length * classes);
  for (let done = 0; done < photos.length; done += EVALUATED_PER_CALL) {
    checkLearning(signal);
    const some = photos.slice(done, done + EVALUATED_PER_CALL);
    const found = await engine.evaluate(Int32Array.from(some, ({ slot }) => slot));
    logits.set(found.logits, done * classes);
  }
  if (!allFinite(logits)) throw noNumbers();
  return logits;
}

/** What a head says of a photo whose class is known. */
export interface HeadPrediction {
  readonly photo: Photo;
  /** Places among the classes. */
  readonly label: number;
  readonly predicted: number;
  /** Of what was predicted, 0 to 1. */
  readonly probability: number;
}

export function predictionsOf(
  photos: readonly SlottedPhoto[],
  logits: Float32Array,
  classes: number,
): HeadPrediction[] {
  return photos.map(({ photo }, index) => {
    const row = logits.subarray(index * classes, (index + 1) * classes);
    const predicted = predictionOf(row);
    return { photo, label: photo.label, predicted, probability: softmax(row)[predicted] ?? 0 };
  });
}

const noNumbers = () =>
  new UserError(
    'not-finite',
    'the model gives no numbers (NaN, or infinite) for a photo, or what its head learns becomes none: check how its pixels are normalised (‹preprocessing›), and the model',
  );
