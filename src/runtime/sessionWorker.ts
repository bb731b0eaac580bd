import { parentPort } from 'node:worker_threads';
import { answerCalls, HandedOver, threadLine } from '../channel.js';
import { giveBack } from '../giveBack.js';
import * as ort from './ort.js';
import { buffersOf, runSent, type SentTensor } from './sentTensor.js';

let session: ort.InferenceSession | undefined;

/** What a session takes and gives. */
export interface SessionEnds {
  readonly inputs: readonly ort.InferenceSession.ValueMetadata[];
  readonly outputs: readonly ort.InferenceSession.ValueMetadata[];
}

/** What the worker does for {@link SessionPool}, by the names in its calls. */
const operations = {
  /** @param model a path, or a model's bytes. */
  open: async (model: string | Uint8Array, options: ort.InferenceSession.SessionOptions): Promise<SessionEnds> => {
    session = await ort.openSession(model, options);
    return { inputs: session.inputMetadata, outputs: session.outputMetadata };
  },
  /** Gives the outputs `wanted`, in this order. */
  run: async (feeds: readonly SentTensor[], wanted: readonly string[]): Promise<HandedOver<SentTensor[]>> => {
    if (!session) throw new Error('no session is open');
    const results = await runSent(session, feeds, wanted);
    giveBack(buffersOf(feeds));
    return new HandedOver(results, buffersOf(results));
  },
  close: async (): Promise<void> => {
    await session?.release();
    session = undefined;
  },
};

export type SessionOperations = typeof operations;

if (parentPort) answerCalls(threadLine(parentPort), operations);
