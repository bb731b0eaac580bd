import { balancedOrder } from '../data/classBalance.js';
import { Random } from '../random.js';
import type { Settings } from './trainOptions.js';

/**
 * The order in which an epoch takes training photos, a batch after another, filled up with −1.
 * @param photos numbers of those that could be read, such as their slots.
 * @param labelsOf the classes of one of them.
 */
export function orderOfEpoch(
  photos: readonly number[],
  labelsOf: (photo: number) => readonly number[],
  epoch: number,
  { seed, batch, sampling }: Pick<Settings, 'seed' | 'batch' | 'sampling'>,
): Int32Array {
  const random = new Random(seed).fork(`epoch ${epoch}`);
  const order =
    sampling === 'balanced'
      ? balancedOrder(photos.map(labelsOf), photos.length, random).map((place) => photos[place] ?? 0)
      : random.shuffle([...photos]);
  const taken = new Int32Array(Math.ceil(photos.length / batch) * batch).fill(-1);
  taken.set(order);
  return taken;
}
