import { availableParallelism } from 'node:os';

/** How cores are shared among the images that a model is run on. */
export interface CoreShares {
  /** Sessions of the model, each of which takes other images. */
  readonly sessions: number;
  /** Threads of each session; 0 for as many as ONNX Runtime likes. */
  readonly threads: number;
}

export interface Sharing {
  /** Cores to use in all; 0 for all that there are. */
  readonly threads: number;
  /** Images that are to be run, as far as is known. */
  readonly images: number;
  /** What each session takes. */
  readonly sessionBytes: number;
  /** What all of them together may take. */
  readonly memoryBytes: number;
}

/** Fewer images in a session are done before another has opened. */
const FEWEST_IMAGES = 64;

/** A session of one thread for each core, or fewer of more threads where images are few or memory is short. */
export function shareCores({ threads, images, sessionBytes, memoryBytes }: Sharing): CoreShares {
  const cores = threads > 0 ? threads : availableParallelism();
  const most = Math.min(cores, Math.floor(images / FEWEST_IMAGES), Math.floor(memoryBytes / Math.max(1, sessionBytes)));
  return most > 1 ? { sessions: most, threads: Math.max(1, Math.floor(cores / most)) } : { sessions: 1, threads };
}

/** Below this a run costs more than what it computes. */
const LEAST_MULTIPLY_ADDS = 4e7;
/** Threads that work on one image wait for each other more often than on several. */
const LEAST_FOR_THREADS = 4;
/** Images of one run, at most: more leave the processor's caches. */
export const MOST_IMAGES = 16;

/**
 * Images of one run: as few as may be, since what is computed of one lies in the processor's caches. Their results are the same to the bit.
 * Where memory is limited, several threads have no more of them: what EfficientNet-B0 computes of four takes 56 MB more than of one.
 */
export function imagesOfRun(multiplyAdds: number, threads: number, isLimited = false): number {
  const worthwhile = Math.ceil(LEAST_MULTIPLY_ADDS / Math.max(1, multiplyAdds));
  return Math.min(MOST_IMAGES, Math.max(worthwhile, threads === 1 || isLimited ? 1 : LEAST_FOR_THREADS));
}
