import { MessageChannel } from 'node:worker_threads';
import { readManifest } from '../src/artifacts/load.js';
import { answerCalls, Caller, threadLine } from '../src/channel.js';
import { FrozenRunner } from '../src/runtime/frozenRunner.js';
import { type SessionOperations, sessionOperations } from '../src/runtime/sessionOperations.js';
import type { Stepper } from '../src/runtime/stepper.js';

export interface StoredPhotos {
  readonly slots: Int32Array;
  readonly labels: readonly number[];
  /** uint8 [photos, H, W, 3] */
  readonly pixels: Uint8Array;
  readonly keys?: readonly string[] | undefined;
}

/** Runs the frozen part of the artifacts in `folder` on photos, and has `stepper` keep what it gives, as the engine does: here, in this thread. */
export async function storePhotos(
  stepper: Stepper,
  folder: string,
  { slots, labels, pixels, keys }: StoredPhotos,
): Promise<void> {
  const images = slots.length;
  const { port1, port2 } = new MessageChannel();
  answerCalls(threadLine(port2), sessionOperations());
  const host = new Caller<SessionOperations>(threadLine(port1));
  const frozen = FrozenRunner.of(folder, readManifest(folder), { threads: 1, provider: 'cpu', images, host });
  try {
    const imageBytes = pixels.length / images;
    const each = Array.from(slots, (_, n) => pixels.subarray(n * imageBytes, (n + 1) * imageBytes));
    const chunks = frozen ? await Promise.all(frozen.run(each)) : [{ first: 0, count: images, rows: [pixels] }];
    for (const { first, count, rows } of chunks) {
      const end = first + count;
      await stepper.keep(slots.slice(first, end), labels.slice(first, end), rows, keys?.slice(first, end));
    }
  } finally {
    await frozen?.release();
    port1.close();
  }
}
