import type { Manifest } from '../artifacts/manifest.js';
import type { Provider } from './providers.js';

/** Images a run of the evaluation graph, at most, and bytes of their boundary: a whole network on many images takes much memory. */
const EVALUATION_BATCH = 64;
const EVALUATION_BYTES = 2 ** 19;

/** Images of one run of the evaluation graph, where there are so many in all. */
export function evaluationSize(
  { batch, microBatch = batch, sessions = 1, cost }: Pick<Manifest, 'batch' | 'microBatch' | 'sessions' | 'cost'>,
  provider: Provider,
  images: number,
): number {
  // Another provider gets all parameters anew in each run, unless they lie with it, and CUDA's tries its algorithms for each number of images (a second
  // for EfficientNet-B0 on an H100): it takes as many as in training, which fit into its memory, and always as many.
  const fitting = provider === 'cpu' ? Math.floor(EVALUATION_BYTES / cost.boundaryBytes) : Math.min(microBatch, images);
  // Where a batch is taken in parts, memory is short.
  const isShort = microBatch * sessions < batch;
  const most = isShort ? Math.min(EVALUATION_BATCH, microBatch) : EVALUATION_BATCH;
  return Math.max(1, Math.min(most, fitting));
}
