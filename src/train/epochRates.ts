import { shareOfPeak } from '../optim/schedule.js';
import type { Settings } from './trainOptions.js';

/** The learning rates of an epoch's steps, whose peak is `peak`. */
export function ratesOfEpoch(
  epoch: number,
  stepsPerEpoch: number,
  peak: number,
  { schedule, epochs, warmupEpochs }: Pick<Settings, 'schedule' | 'epochs' | 'warmupEpochs'>,
): Float32Array {
  const total = epochs * stepsPerEpoch;
  const warmup = Math.round(warmupEpochs * stepsPerEpoch);
  return Float32Array.from({ length: stepsPerEpoch }, (_, index) => {
    const step = (epoch - 1) * stepsPerEpoch + index;
    return peak * shareOfPeak(schedule, { step, total, warmup });
  });
}
