import { effect, type ReadonlySignal } from '@preact/signals';
import { complain } from './toasts.js';

/** Reads signals, so that the effect that does so runs again when they change. */
export const readAll = (...signals: readonly ReadonlySignal<unknown>[]): unknown[] => signals.map(({ value }) => value);

interface Refreshing<Key> {
  /** What is read; nothing while it is undefined. Signals that it reads are watched, as those of `changes`. */
  readonly key: () => Key | undefined;
  /** Reads the signals after whose changes the same has to be read anew. */
  readonly changes: () => unknown;
  /** No more often than this is the same read anew. */
  readonly everyMs: number;
  /** Something else will be read; nothing is there until then. */
  readonly reset: () => void;
  readonly read: (key: Key, signal: AbortSignal) => Promise<void>;
  readonly failed?: (error: unknown) => void;
}

/**
 * Keeps something as the server has it until what this gives is called. One reading at a time: changes in the meantime lead to one more, so
 * that something new is shown even while changes never end.
 */
export function keepFresh<Key>({ key, changes, everyMs, reset, read, failed = complain }: Refreshing<Key>): () => void {
  let [wanted, isStale, last]: [Key | undefined, boolean, number] = [undefined, false, 0];
  let reading: AbortController | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const begin = async () => {
    timer = undefined;
    if (wanted === undefined) return;
    const controller = new AbortController();
    reading = controller;
    [isStale, last] = [false, Date.now()];
    try {
      await read(wanted, controller.signal);
    } catch (error) {
      if (!controller.signal.aborted) failed(error);
    }
    if (reading !== controller) return;
    reading = undefined;
    plan();
  };
  const plan = () => {
    if (!isStale || reading || timer !== undefined) return;
    timer = setTimeout(() => void begin(), Math.max(0, last + everyMs - Date.now()));
  };
  const leave = () => {
    reading?.abort();
    reading = undefined;
    clearTimeout(timer);
    timer = undefined;
  };
  const stop = effect(() => {
    const now = key();
    changes();
    if (now === wanted) {
      isStale = true;
      plan();
      return;
    }
    wanted = now;
    leave();
    reset();
    void begin();
  });
  return () => {
    stop();
    wanted = undefined;
    leave();
  };
}
