import type { Manifest } from '../artifacts/manifest.js';
import { UserError } from '../errors.js';
import type { Settings } from './trainOptions.js';

export type Parallel = 'auto' | 'images' | 'operators';

/**
 * From so many multiply-adds of a step for each trained parameter, and in all, sessions of one thread are faster than the threads of one:
 * below, what passes between them takes longer than threads wait for each other. On two cores with EfficientNet-B0 and a batch of 16,
 * `full` (5,000) takes 0.9 of the time, 0.7 beside a busy process; `blocks:2` (2,000) 1.1.
 */
const LEAST_PER_PARAMETER = 3000;
const LEAST_IN_ALL = 2e9;

/**
 * How many sessions take the parts of a batch side by side. It follows from the network, the settings and the cores alone, not from a
 * trial, so that the same training on the same machine gives the same bits.
 * @throws UserError `bad-arguments` where images are to be parted that belong together.
 */
export function stepSessions({ cost }: Pick<Manifest, 'cost'>, settings: Settings, parallel: Parallel): number {
  const { provider, batchNorm, dropout, threads, batch, microBatch } = settings;
  const obstacle =
    provider !== 'cpu'
      ? `‹provider› ${provider} takes a batch whole`
      : batchNorm === 'batch'
        ? 'a part of a batch has other statistics than the batch (‹batchNorm› batch)'
        : dropout > 0
          ? 'a part of a batch drops out by itself (‹dropout›)'
          : undefined;
  if (parallel === 'images' && obstacle !== undefined)
    throw new UserError('bad-arguments', `${obstacle}; leave out ‹parallel› images`);
  if (parallel === 'operators' || obstacle !== undefined) return 1;
  const multiplyAdds = batch * (cost.forwardMultiplyAdds + cost.backwardMultiplyAdds);
  const isWorthwhile = multiplyAdds >= Math.max(LEAST_IN_ALL, LEAST_PER_PARAMETER * cost.trainableParameters);
  return parallel === 'images' || isWorthwhile ? Math.min(threads, microBatch) : 1;
}
