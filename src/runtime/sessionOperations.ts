import { HandedOver } from '../channel.js';
import { giveBack } from '../giveBack.js';
import * as ort from './ort.js';
import { buffersOf, runSent, type SentTensor } from './sentTensor.js';

/** What a session takes and gives. */
export interface SessionEnds {
  readonly inputs: readonly ort.InferenceSession.ValueMetadata[];
  readonly outputs: readonly ort.InferenceSession.ValueMetadata[];
}

/** What a worker does for {@link SessionPool}, by the names in its calls: it has one session at a time. */
export function sessionOperations() {
  let session: ort.InferenceSession | undefined;
  return {
    /** @param model a path, or a model's bytes. */
    openSession: async (
      model: string | Uint8Array,
      options: ort.InferenceSession.SessionOptions,
    ): Promise<SessionEnds> => {
      session = await ort.openSession(model, options);
      return { inputs: session.inputMetadata, outputs: session.outputMetadata };
    },
    /** Gives the outputs `wanted`, in this order. */
    runSession: async (feeds: readonly SentTensor[], wanted: readonly string[]): Promise<HandedOver<SentTensor[]>> => {
      if (!session) throw new Error('no session is open');
      const results = await runSent(session, feeds, wanted);
      giveBack(buffersOf(feeds));
      return new HandedOver(results, buffersOf(results));
    },
    closeSession: async (): Promise<void> => {
      await session?.release();
      session = undefined;
    },
  };
}

export type SessionOperations = ReturnType<typeof sessionOperations>;
