import { onExit } from '../../onExit.js';
import type { MeasureOptions } from './measurement.js';

/** How long processes may need to end by themselves. */
const GRACE_MS = 3000;

/**
 * Waits for a command, ends its `processes` once the signal aborts, and lets `onStart` send signals to those that have `begun` their program.
 */
export async function attend<T>(
  options: MeasureOptions,
  processes: () => readonly number[],
  begun: () => readonly number[],
  ended: Promise<T>,
): Promise<T> {
  const stopEnding = endOnAbort(options, processes);
  const stopPassing = passSignals(options, begun);
  try {
    return await ended;
  } finally {
    stopEnding();
    stopPassing();
  }
}

/** Ends `processes` once the signal aborts. Gives what is to be called when there is nothing left to end. */
function endOnAbort({ signal, endsWithUs }: MeasureOptions, processes: () => readonly number[]): () => void {
  let timer: NodeJS.Timeout | undefined;
  const end = () => {
    sendTo(processes(), 'SIGTERM');
    timer = setTimeout(() => {
      sendTo(processes(), 'SIGKILL');
    }, GRACE_MS);
  };
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end, { once: true });
  // At once, since what they write is removed next.
  const forget = endsWithUs ? onExit(() => sendTo(processes(), 'SIGKILL')) : undefined;
  return () => {
    forget?.();
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
  };
}

/** How soon a signal is sent again that came before there was a process to have it. */
const SEND_AGAIN_MS = 5;

/** Lets `onStart` send signals to `processes`. Gives what is to be called when there is nothing left to have them. */
function passSignals({ onStart }: MeasureOptions, processes: () => readonly number[]): () => void {
  const timers = new Set<NodeJS.Timeout>();
  let isOver = false;
  const send = (name: NodeJS.Signals) => {
    if (isOver || sendTo(processes(), name)) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      send(name);
    }, SEND_AGAIN_MS);
    timers.add(timer);
  };
  onStart?.(send);
  return () => {
    isOver = true;
    for (const timer of timers) clearTimeout(timer);
  };
}

/** Whether there was a process to have the signal. */
function sendTo(processes: readonly number[], name: NodeJS.Signals): boolean {
  let isSent = false;
  for (const pid of processes) {
    try {
      process.kill(pid, name);
      isSent = true;
    } catch {
      // It has ended.
    }
  }
  return isSent;
}
