import { parentPort } from 'node:worker_threads';
import { answerCalls, HandedOver, threadLine } from '../channel.js';
import { giveBack } from '../giveBack.js';
import * as ort from './ort.js';
import { openBytes, openFile, runResults } from './partSessions.js';
import { buffersOf, type SentTensor } from './sentTensor.js';

/** A model that a session runs. */
export interface SessionModel {
  /** What messages call it: its file. */
  readonly name: string;
  /** Its bytes, where they are not those of the file. */
  readonly bytes?: Uint8Array;
}

let session: ort.InferenceSession | undefined;
let name = '';

/** What the worker does for {@link SessionPool}, by the names in its calls. */
const operations = {
  open: async (model: SessionModel, options: ort.InferenceSession.SessionOptions): Promise<void> => {
    name = model.name;
    session = await (model.bytes ? openBytes(model.bytes, name, options) : openFile(name, options));
  },
  /** Gives the outputs `wanted`, in this order. */
  run: async (feeds: readonly SentTensor[], wanted: readonly string[]): Promise<HandedOver<SentTensor[]>> => {
    if (!session) throw new Error('no session is open');
    const inputs = Object.fromEntries(
      feeds.map(({ name: input, type, data, dims }) => [input, new ort.Tensor(type, data, dims)]),
    );
    const results = await runResults(name, session, inputs, wanted);
    giveBack(buffersOf(feeds));
    const sent = wanted.flatMap((output) => {
      const result = results[output];
      return result ? [{ name: output, type: result.type, dims: result.dims, data: result.data }] : [];
    });
    return new HandedOver(sent, buffersOf(sent));
  },
  close: async (): Promise<void> => {
    await session?.release();
    session = undefined;
  },
};

export type SessionOperations = typeof operations;

if (parentPort) answerCalls(threadLine(parentPort), operations);
