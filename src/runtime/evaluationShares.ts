import type { Manifest } from '../artifacts/manifest.js';
import { memoryBytes } from '../memoryLimit.js';
import { type CoreShares, shareCores } from './coreShares.js';
import { evaluationSize } from './evaluationSize.js';
import { sessionBytes } from './modelRunner.js';
import type { Provider } from './providers.js';

/**
 * From so many multiply-adds of an image in the trained part, further sessions are worth what they take. On two cores evaluating 200 photos by
 * EfficientNet-B0's F1C3 (39 million) takes 135 ms in two sessions and 200 in one; of F1C1 (20) little is to be had.
 */
const LEAST_MULTIPLY_ADDS = 3e7;
/** Which share of the machine's memory further sessions may take where nothing limits them. */
const SHARE_OF_MEMORY = 0.25;

type Evaluated = Pick<Manifest, 'batch' | 'microBatch' | 'sessions' | 'cost'>;

export interface EvaluationSharing {
  /** Cores to use in all; 0 for all that there are. */
  readonly threads: number;
  readonly provider: Provider;
  /** What sessions beside the first may take together, where that is limited. */
  readonly furtherBytes?: number | undefined;
}

/** How cores are shared among the sessions of an evaluation: by the network, the settings and the machine alone. */
export function evaluationShares(
  manifest: Evaluated,
  { threads, provider, furtherBytes = SHARE_OF_MEMORY * memoryBytes() }: EvaluationSharing,
): CoreShares {
  // Another provider has cores enough for all images.
  if (provider !== 'cpu' || manifest.cost.forwardMultiplyAdds < LEAST_MULTIPLY_ADDS) return { sessions: 1, threads };
  const each = evaluatorBytes(manifest);
  return shareCores({ threads, images: Infinity, sessionBytes: each, memoryBytes: each + furtherBytes });
}

/** What one more session takes: its copy of the parameters, and what it computes of the images of a run. */
export function evaluatorBytes(manifest: Evaluated): number {
  const { trainableParameters, trainingMemoryBytes, evaluationBytes = trainingMemoryBytes } = manifest.cost;
  return sessionBytes(4 * trainableParameters) + evaluationSize(manifest, 'cpu', Infinity) * evaluationBytes;
}
