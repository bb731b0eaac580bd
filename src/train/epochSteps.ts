import type { Task } from '../artifacts/task.js';
import type { Engine } from '../runtime/engine.js';
import type { StepResult } from '../runtime/stepper.js';
import type { TrainEvent } from './events.js';
import type { PhotoSlots } from './photoSlots.js';

/** Steps asked of the worker at a time: progress is told, and limits are looked at, between them. */
export const STEPS_PER_CALL = 16;
/** A mean loss of so many times ln(classes), the loss of a guess, will not come down again. */
const LARGEST_LOSS = 5;
/** Neither will a mean loss of so many times the loss that the training began with. */
const LARGEST_GROWTH = 3;

/** What takes steps. */
interface Stepping {
  readonly engine: Pick<Engine, 'steps'>;
  readonly slots: PhotoSlots;
  /** Images a step. */
  readonly batch: number;
}

/** An epoch that is under way. */
export interface EpochUnderWay {
  /** 1 for the first. */
  readonly epoch: number;
  /** Slots of its steps, a batch after another, filled up with −1. */
  readonly order: Int32Array;
  /** Of each of its steps. */
  readonly learningRates: Float32Array;
}

/** Steps that were taken, one or more. */
export interface TakenSteps extends Pick<StepResult, 'losses' | 'correct' | 'images'> {
  /** The slots that they were to take, and those of steps that were not reached. */
  readonly slots: Int32Array;
  /** The sum of the losses of all images. */
  readonly lossSum: number;
}

/**
 * Takes the next steps of an epoch, from its step number `first` (0 for its first) on, as many as one call of the worker does. Undefined where
 * none was taken: it was stopped before that, or rows of photos were gone, which are there again now.
 */
export async function* takeSteps(
  { engine, slots, batch }: Stepping,
  { epoch, order, learningRates }: EpochUnderWay,
  first: number,
  limitMs = Infinity,
): AsyncGenerator<TrainEvent, TakenSteps | undefined> {
  const { stepsPerEpoch, trainPhotos } = slots;
  const until = Math.min(stepsPerEpoch, first + STEPS_PER_CALL);
  const taken = order.subarray(first * batch, until * batch);
  const result = await engine.steps({
    slots: taken,
    learningRates: learningRates.subarray(first, until),
    firstStep: (epoch - 1) * stepsPerEpoch + first + 1,
    limitMs,
    ...slots.targetsOf(taken),
  });
  if (result.lost) yield* slots.fillAgain(result.lost, epoch);
  const { losses, correct, images } = result;
  if (losses.length === 0) return undefined;
  // The last step has the photos that are left.
  const lossSum = losses.reduce(
    (sum, loss, index) => sum + loss * Math.min(batch, trainPhotos - (first + index) * batch),
    0,
  );
  return { losses, correct, images, slots: taken, lossSum };
}

/** What the loss of steps is held against. */
export interface ExpectedLoss {
  readonly task: Task;
  readonly classes: number;
  /** The loss of the very first step. */
  readonly firstLoss: number;
}

/** Says of the losses of steps that they run away; undefined where they do not. */
export function runaway(losses: Float32Array, { task, classes, firstLoss }: ExpectedLoss): string | undefined {
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  const guess = Math.log(task === 'labels' ? 2 : classes);
  // Features that are large make the first loss large too, and single batches differ: neither is a rate that is too high.
  const largest = Math.max(LARGEST_LOSS * guess + 1, LARGEST_GROWTH * firstLoss);
  return mean > largest ? `is ${mean.toFixed(1)}, far above the ${guess.toFixed(1)} of a guess,` : undefined;
}
