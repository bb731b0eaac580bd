import type { Manifest } from '../artifacts/manifest.js';
import { UserError } from '../errors.js';
import type { Settings } from './trainOptions.js';

export type Parallel = 'auto' | 'images' | 'operators';

/**
 * From so many multiply-adds of an image for each trained parameter, and of a step in all, sessions of one thread are faster than the threads
 * of one: below, what passes between them with each part, gradients above all, takes longer than threads wait for each other. On two cores with
 * EfficientNet-B0, `full` (317) takes 0.9 of the time with a batch of 16, 0.7 beside a busy process; `blocks:2` (123) takes 1.1 with 16,
 * 1.25 with 32.
 */
const LEAST_PER_PARAMETER = 200;
const LEAST_IN_ALL = 2e9;
/**
 * Images of a part, at most. EfficientNet-B0's `full` takes as long with parts of 8 as with parts of 4, which take half the memory, and a
 * fifth longer with parts of 1.
 */
const MOST_IMAGES = 4;
/** What a session of the training graph takes beside its tensors, in a worker of its own. */
export const BYTES_PER_SESSION = 4e7;
/** Copies of parameters and gradients that each session has. */
const COPIES = 4;

/**
 * How many sessions take the parts of a batch side by side, no more than fit into `roomBytes` beside each other. It follows from the network, the
 * settings and the machine alone, not from a trial, so that the same training on the same machine gives the same bits.
 * @param manifest of a batch that is run whole.
 * @throws UserError `bad-arguments` where images are to be parted that belong together.
 */
export function stepSessions(
  { cost }: Pick<Manifest, 'cost'>,
  settings: Settings,
  { parallel, roomBytes }: { readonly parallel: Parallel; readonly roomBytes: number },
): number {
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
  const ofImage = cost.forwardMultiplyAdds + cost.backwardMultiplyAdds;
  const isWorthwhile = batch * ofImage >= LEAST_IN_ALL && ofImage >= LEAST_PER_PARAMETER * cost.trainableParameters;
  if (parallel === 'auto' && !isWorthwhile) return 1;
  const bytesPerImage = cost.trainingMemoryBytes / microBatch;
  let sessions = Math.min(threads, microBatch);
  const bytes = () =>
    sessions *
    (imagesOfPart(microBatch, sessions) * bytesPerImage + COPIES * 4 * cost.trainableParameters + BYTES_PER_SESSION);
  while (sessions > 1 && bytes() > roomBytes) sessions--;
  return sessions;
}

/** Images of a part of a batch that so many sessions share. */
export const imagesOfPart = (images: number, sessions: number): number =>
  Math.min(Math.ceil(images / sessions), MOST_IMAGES);
