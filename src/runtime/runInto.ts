import { giveBack } from '../giveBack.js';
import type * as ort from './ort.js';

/** A session's inputs and where its outputs go, prepared. */
export interface Run {
  readonly feeds: Record<string, ort.Tensor>;
  readonly fetches: Record<string, ort.Tensor>;
}

type Runnable = { run(feeds: Run['feeds'], fetches: Run['fetches']): Promise<ort.InferenceSession.ReturnType> };

/**
 * Runs a session, whose results are written into `fetches`. onnxruntime-node 1.30 also returns a copy of each, which would lie
 * about until the garbage collector comes: as much as the whole state, after every step.
 */
export async function runInto(session: Runnable, { feeds, fetches }: Run): Promise<void> {
  const results = await session.run(feeds, fetches);
  const wanted = new Set(Object.values(fetches).map(bufferOf));
  giveBack(
    Object.values(results).flatMap((result) => {
      const buffer = bufferOf(result);
      return buffer && !wanted.has(buffer) ? [buffer] : [];
    }),
  );
}

function bufferOf({ data }: ort.Tensor): ArrayBufferLike | undefined {
  return ArrayBuffer.isView(data) ? data.buffer : undefined;
}
