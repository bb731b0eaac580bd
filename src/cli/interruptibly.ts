import { UserError } from '../internal.js';
import { Interruption } from './interruption.js';
import type { Terminal } from './terminal.js';

/** What is said where a verb is stopped. */
export interface Stopping {
  /** What the first signal brings about. */
  readonly doing: string;
  /** What whoever sent it can do where that takes too long. */
  readonly hint?: () => readonly string[];
}

/** Does a verb's work, which a signal stops: that is told, and the exit code is the signal's. @throws what `work` throws otherwise. */
export async function interruptibly(
  terminal: Terminal,
  { doing, hint }: Stopping,
  work: (interruption: Interruption) => Promise<void>,
): Promise<void> {
  const interruption = new Interruption(
    (what) => {
      terminal.warn(what);
    },
    doing,
    hint,
  );
  try {
    await work(interruption);
  } catch (thrown) {
    if (!(thrown instanceof UserError) || thrown.code !== 'stopped') throw thrown;
    terminal.warn(`ort-tl: ${thrown.text}`);
    process.exitCode = interruption.exitCode;
  } finally {
    interruption.close();
  }
}
