import { memoryBytes } from '../memoryLimit.js';
import { type CoreShares, shareCores } from './coreShares.js';
import * as ort from './ort.js';
import { runSent, type SentTensor } from './sentTensor.js';
import type { SessionEnds } from './sessionOperations.js';
import { SessionPool } from './sessionPool.js';

/** Runs a model, in one session of this thread or in several, each in a worker of its own. */
export interface ModelRunner {
  readonly ends: SessionEnds;
  /** How many runs to have under way so that no session waits. */
  readonly runsAtOnce: number;
  /** Runs the model once: gives the outputs `wanted`, in this order. Another thread takes the memory of `feeds`. @throws what ONNX Runtime throws. */
  run(feeds: readonly SentTensor[], wanted: readonly string[]): Promise<SentTensor[]>;
  close(): Promise<void>;
}

/**
 * What one more session takes, in a worker of its own: so much, and for each byte of its model its weights, those that it has packed for its
 * kernels, and what it computes. A second one of EfficientNet-B0 (17 MB) takes 30 to 60 MB, of MobileOne-S0 (8 MB) up to 50 MB; networks that
 * compute more of each weight take more.
 */
const BYTES_PER_SESSION = 3.5e7;
const BYTES_PER_MODEL_BYTE = 2;
/** Which share of the machine's memory sessions may take where nothing limits them. */
const SHARE_OF_MEMORY = 0.25;

export interface RunnerSharing {
  /** Cores to use in all; 0 for all that there are. */
  readonly threads: number;
  /** Images that the model is to be run on, as far as is known. */
  readonly images: number;
  /** The size of the model's file. */
  readonly modelBytes: number;
  /** What all sessions together may take, where that is limited. */
  readonly memoryBytes?: number | undefined;
}

/** What one more session of a model takes, by the size of its file or of its weights. */
export function sessionBytes(modelBytes: number): number {
  return BYTES_PER_SESSION + BYTES_PER_MODEL_BYTE * modelBytes;
}

/** How cores are shared among the sessions of a model. */
export function sharesFor({ threads, images, modelBytes, memoryBytes: most }: RunnerSharing): CoreShares {
  const memory = most ?? SHARE_OF_MEMORY * memoryBytes();
  return shareCores({ threads, images, sessionBytes: sessionBytes(modelBytes), memoryBytes: memory });
}

/** Opens a model, a path or its bytes. @throws what ONNX Runtime throws. */
export async function openRunner(
  model: string | Uint8Array,
  options: ort.InferenceSession.SessionOptions,
  { sessions, threads }: CoreShares,
): Promise<ModelRunner> {
  const own = { ...options, ...(threads > 0 ? { intraOpNumThreads: threads } : {}) };
  if (sessions > 1) return SessionPool.open(model, own, sessions);
  const session = await ort.openSession(model, own);
  return {
    ends: { inputs: session.inputMetadata, outputs: session.outputMetadata },
    runsAtOnce: 1,
    run: (feeds, wanted) => runSent(session, feeds, wanted),
    close: () => session.release(),
  };
}
