import { join } from 'node:path';
import { UserError } from '../errors.js';
import { writeFileAtomically } from '../files.js';
import { notANumber } from './divergence.js';
import type { TrainEvent } from './events.js';
import { drawRange, rangeOfRates, smoothed, valleyOf } from './learningRateRange.js';
import type { RunParts } from './runParts.js';

const STEPS = 100;
/** Steps asked of the worker at a time. */
const STEPS_PER_CALL = 10;

/**
 * Raises the learning rate step by step until the loss runs away, takes the middle of its fall as the run's, and puts everything back.
 * @throws UserError `no-learning-rate`, `not-finite`, `diverged`, `stopped`.
 */
export async function* findLearningRate(run: RunParts): AsyncGenerator<TrainEvent> {
  const { engine, slots, keeper, folder, options } = run;
  const { batch } = run.settings;
  const before = await engine.getState();
  const rates = rangeOfRates(STEPS);
  const order = slots.orderOf(1);
  const losses = yield* lossesAlong(run, rates, order);
  if (!Number.isFinite(losses[0])) throw await notANumber(run, { epoch: 1, step: 1 }, order.subarray(0, batch));
  await engine.setState(before);
  const curve = smoothed(losses.filter(Number.isFinite));
  const learningRate = valleyOf(rates, curve);
  if (learningRate === undefined)
    throw new UserError(
      'no-learning-rate',
      'the loss fell at no learning rate from 1e-6 to 1; state one (‹learningRate›)',
    );
  keeper.progress.learningRate = learningRate;
  const figure = 'learning-rate.svg';
  await writeFileAtomically(folder.path(figure), await drawRange(rates, curve, learningRate));
  yield { type: 'learning-rate', learningRate, figure: join(options.out, figure) };
}

/** The losses of steps at `rates`, until the loss has run away. */
async function* lossesAlong(
  { engine, slots, settings, options }: RunParts,
  rates: Float32Array,
  order: Int32Array,
): AsyncGenerator<TrainEvent, number[]> {
  const { batch } = settings;
  const losses: number[] = [];
  while (losses.length < rates.length) {
    const step = losses.length;
    const until = Math.min(rates.length, step + STEPS_PER_CALL);
    const images = Int32Array.from(
      { length: (until - step) * batch },
      (_, index) => order[(step * batch + index) % order.length] ?? -1,
    );
    const result = await engine.steps({
      slots: images,
      learningRates: rates.subarray(step, until),
      firstStep: step + 1,
      ...slots.targetsOf(images),
    });
    // A part of the range would give another learning rate: the run that goes on looks again, from the same weights.
    if (options.signal?.aborted) throw new UserError('stopped', 'stopped while looking for a learning rate');
    losses.push(...result.losses);
    if (result.lost) {
      yield* slots.fillAgain(result.lost, 1);
      continue;
    }
    const [done, total] = [losses.length, rates.length];
    yield { type: 'progress', phase: 'looking for a learning rate', epoch: 1, done, total };
    const last = losses.at(-1) ?? NaN;
    if (!(last < 4 * Math.min(...losses))) break;
  }
  return losses;
}
