import type * as ort from './ort.js';

/** A session's inputs and where its outputs go, prepared. */
export interface Run {
  readonly feeds: Record<string, ort.Tensor>;
  readonly fetches: Record<string, ort.Tensor>;
}

type Runnable = { run(feeds: Run['feeds'], fetches: Run['fetches']): Promise<ort.InferenceSession.ReturnType> };

/** A port with nobody behind it: what is transferred to it is given back at once. */
const nowhere = (() => {
  const { port1, port2 } = new MessageChannel();
  port2.close();
  return port1;
})();

/**
 * Runs a session, whose results are written into `fetches`. onnxruntime-node 1.30 also returns a copy of each, which would lie
 * about until the garbage collector comes: as much as the whole state, after every step.
 */
export async function runInto(session: Runnable, { feeds, fetches }: Run): Promise<void> {
  const results = await session.run(feeds, fetches);
  const copies = Object.entries(results).flatMap(([name, { data }]) =>
    ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer && data.buffer !== bufferOf(fetches[name])
      ? [data.buffer]
      : [],
  );
  nowhere.postMessage(undefined, copies);
}

function bufferOf(fetched: ort.Tensor | undefined): ArrayBufferLike | undefined {
  return fetched && ArrayBuffer.isView(fetched.data) ? fetched.data.buffer : undefined;
}
